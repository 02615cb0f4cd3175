#[pglock::advisory("report", lock_id = "invoices")]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
