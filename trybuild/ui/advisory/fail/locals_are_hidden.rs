#[pglock::advisory("report", on_error = |_| drop(error))]
fn report() {
    drop((builder, call, on_error, out, returned));
}

fn main() {}
