#[pglock::advisory("outer")]
#[pglock::advisory("inner", timeout = -1)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {
    let _ = report;
}
