#![deny(warnings)]

use pglock::advisory as lock;

type Failure = Box<dyn std::error::Error + Send + Sync>;

// Each of these sees a plain `fn`, and the async body in it.
#[tokio::main]
#[pglock::advisory("above", hold_at_most = "10s")]
async fn above() -> Result<(), Failure> {
    tokio::task::yield_now().await;
    Ok(())
}

#[pglock::advisory("outer")]
#[tokio::main(flavor = "current_thread")]
#[lock("inner-{name}", hold_at_most = "10s")]
async fn between(name: &str, client: &mut tokio_postgres::Client) -> Result<usize, Failure> {
    client.execute("SELECT 1", &[]).await?;
    Ok(name.len())
}

#[tokio::main]
#[pglock::timeout("3s")]
#[pglock::advisory("mixed", client = client)]
#[lock("inner", timeout = 0, side_effect = Skip(Ok(0)))]
async fn all_below(client: &mut tokio_postgres::Client) -> Result<u64, Failure> {
    Ok(client.execute("SELECT 1", &[]).await?)
}

fn main() {
    let _ = (above, between, all_below);
}
