#![deny(warnings)]

use pglock as renamed;
use pglock::advisory;
use pglock::advisory as lock;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("outer")]
#[advisory("inner", timeout = 0, side_effect = Skip)]
fn imported() -> Result<(), Failure> {
    Ok(())
}

#[advisory("outer:{name}")]
#[doc = "Between."]
#[pglock::advisory("middle", shared)]
#[::pglock::advisory]
async fn three(name: String) -> Result<String, Failure> {
    tokio::task::yield_now().await;
    Ok(name)
}

#[pglock::advisory("outer")]
#[pglock::advisory("client", client = client)]
#[pglock::advisory("inner", client = client, shared)]
fn one_connection(client: &mut postgres::Client) -> Result<u64, Failure> {
    Ok(client.execute("SELECT 1", &[])?)
}

#[pglock::advisory("client", client = client)]
#[pglock::advisory("own")]
#[pglock::advisory("inner", client = client, shared)]
async fn one_connection_async(client: &mut tokio_postgres::Client) -> Result<u64, Failure> {
    Ok(client.execute("SELECT 1", &[]).await?)
}

#[pglock::advisory("outer", on_error = Panic)]
#[tracing::instrument]
#[pglock::advisory("inner", on_error = |_| 1)]
fn around_another_attribute() -> u8 {
    0
}

#[pglock::advisory("outer", client = client)]
#[tracing::instrument(skip(client))]
#[lock("middle:{name}")]
#[renamed::advisory("inner", client = client, shared)]
async fn by_other_names(client: &mut tokio_postgres::Client, name: String) -> Result<String, Failure> {
    client.execute("SELECT 1", &[]).await?;
    Ok(name)
}

// The inner one leaves `names` to the outer one, and knows that it took `id`.
#[pglock::advisory(lock_id = id, on_error = |_| names.len())]
#[lock("inner", on_error = Panic)]
fn what_the_outer_one_names(id: pglock::LockId, names: Vec<u8>) -> usize {
    0
}

fn main() {
    let _ = (imported, three, one_connection, one_connection_async, around_another_attribute, by_other_names);
    let _ = what_the_outer_one_names;
}
