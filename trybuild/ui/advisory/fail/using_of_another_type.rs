#[pglock::advisory("report", using = 42)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
