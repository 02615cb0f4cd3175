struct Tenant;

#[pglock::advisory("report:{tenant}")]
fn report(tenant: Tenant) -> Result<(), pglock::Error> {
    let _ = tenant;
    Ok(())
}

fn main() {}
