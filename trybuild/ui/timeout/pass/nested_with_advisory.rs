#![deny(warnings)]

use postgres::Client;

#[pglock::timeout("3s")]
#[pglock::advisory("migration", client = conn)]
fn migrate(conn: &mut Client) -> Result<(), pglock::Error> {
    let _ = conn.simple_query("SELECT 1");
    Ok(())
}

#[pglock::advisory("migration", timeout = "10s")]
#[pglock::timeout("3s")]
async fn migrate_async(conn: &mut tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn.simple_query("SELECT 1").await;
    Ok(())
}

fn main() {
    let _ = (migrate, migrate_async);
}
