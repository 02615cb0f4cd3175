#![deny(warnings)]

use std::time::Duration;

use pglock::{AnyAsyncConnection, AnyConnection, Error};
use postgres::{Client, Transaction};

#[pglock::timeout("3s")]
fn only_argument(conn: &mut Client, _name: &str) -> Result<(), Error> {
    let _ = conn.simple_query("SELECT 1");
    Ok(())
}

#[pglock::timeout(0.5)]
fn in_a_transaction(tx: &mut Transaction<'_>) -> Result<(), Error> {
    let _ = tx.simple_query("SELECT 1");
    Ok(())
}

#[pglock::timeout(None, client = second)]
fn named<'a>(first: &'a mut Vec<u32>, second: &mut Client) -> Result<&'a [u32], Error> {
    let _ = second;
    Ok(first)
}

#[pglock::timeout(Duration::from_millis(20), on_error = Panic)]
fn any<C: AnyConnection>(conn: &mut C) -> u32 {
    let _ = conn;
    1
}

#[pglock::timeout(limit)]
async fn asynchronous(
    limit: Option<Duration>,
    conn: &mut tokio_postgres::Client,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    conn.simple_query("SELECT 1").await?;
    Ok(())
}

#[pglock::timeout("1s")]
async fn any_async(conn: &mut impl AnyAsyncConnection) -> Result<(), Error> {
    let _ = conn;
    Ok(())
}

struct Job {
    db: Client,
    done: u32,
}

impl Job {
    #[pglock::timeout("1m 30s", client = self.db)]
    fn run(&mut self) -> Result<u32, Error> {
        let _ = self.db.simple_query("SELECT 1");
        self.done += 1;
        Ok(self.done)
    }
}

fn main() {
    let _ = (only_argument, in_a_transaction, named, any::<Client>, Job::run);
    let _ = asynchronous;
    let _ = |conn: &'static mut tokio_postgres::Client| any_async(conn);
}
