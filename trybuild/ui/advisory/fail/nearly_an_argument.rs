#[pglock::advisory("report:{tenat}", client = con)]
fn report(tenant: u32, conn: &mut postgres::Client) -> Result<u32, pglock::Error> {
    let _ = conn;
    Ok(tenant)
}

fn main() {
    let _ = report;
}
