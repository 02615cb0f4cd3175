#![deny(warnings)]

// Attributes of others that have the names of pglock's.
use tokio::test as prioritize;
use tracing::instrument as timeout;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("client", client = client)]
#[timeout(skip_all)]
fn traced(client: &mut postgres::Client) -> Result<u64, Failure> {
    Ok(client.execute("SELECT 1", &[])?)
}

#[pglock::advisory("test")]
#[prioritize(flavor = "current_thread")]
async fn tested() -> Result<(), Failure> {
    tokio::task::yield_now().await;
    Ok(())
}

fn main() {
    let _ = traced;
}
