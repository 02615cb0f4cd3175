#[pglock::advisory("report", on_error = panic!("busy"))]
fn report() {}

fn main() {
    let _ = report;
}
