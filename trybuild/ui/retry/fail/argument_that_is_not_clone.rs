struct Plan;

#[pglock::retry]
fn migrate(client: &mut postgres::Client, plan: Plan) -> Result<(), pglock::Error> {
    let _ = plan;
    Ok(())
}

#[pglock::retry]
async fn migrate_async(client: &mut tokio_postgres::Client, plan: Plan) -> Result<(), pglock::Error> {
    let _ = plan;
    Ok(())
}

fn main() {}
