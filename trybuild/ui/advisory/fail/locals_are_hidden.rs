#[pglock::advisory("report", on_error = |_| drop(error))]
fn report() {
    drop((advisory, call, on_error, out, returned));
}

fn main() {}
