#![deny(warnings)]

use std::time::Duration;

use pglock::{AnyAsyncConnection, AnyConnection, Blocked, Database, Error, PrioritizeSideEffect};
use postgres::{Client, Transaction};

#[pglock::prioritize]
fn only_argument(conn: &mut Client, _name: &str) -> Result<(), Error> {
    let _ = conn.simple_query("SELECT 1");
    Ok(())
}

#[pglock::prioritize(interval = "100ms", timeout = "100ms", periodic = false, side_effect = Cancel)]
fn in_a_transaction(tx: &mut Transaction<'_>) -> Result<(), Error> {
    let _ = tx.simple_query("SELECT 1");
    Ok(())
}

#[pglock::prioritize(client = second, side_effect = pglock::Escalate, periodic, timeout = None)]
fn named<'a>(first: &'a mut Vec<u32>, second: &mut Client) -> Result<&'a [u32], Error> {
    let _ = second;
    Ok(first)
}

#[pglock::prioritize(
    interval = Duration::from_millis(20),
    timeout = Duration::from_millis(10),
    side_effect = pglock::Terminate::new().never_application("pg_dump").filter("activity__pid__gt=1")?,
    on_error = |error| Err(error)
)]
fn any<C: AnyConnection>(conn: &mut C) -> Result<u32, Error> {
    let _ = conn;
    Ok(1)
}

struct Page {
    number: u32,
}

impl PrioritizeSideEffect for Page {
    fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
        println!("calling {}", self.number);
        blocked.cancel()
    }
}

#[pglock::prioritize(side_effect = Page { number }, interval = interval, using = using, client = conn)]
async fn asynchronous(
    number: u32,
    interval: Duration,
    using: &Database,
    conn: &mut tokio_postgres::Client,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    conn.simple_query("SELECT 1").await?;
    Ok(())
}

#[pglock::prioritize(using = "reports", on_error = Panic)]
#[expect(dead_code, reason = "it only has to compile")]
async fn any_async(conn: &mut impl AnyAsyncConnection) {
    let _ = conn;
}

struct Job {
    db: Client,
    done: u32,
}

impl Job {
    #[pglock::prioritize(client = self.db, on_error = Panic)]
    #[pglock::timeout("9s", client = self.db, on_error = Panic)]
    fn run(&mut self) {
        let _ = self.db.simple_query("SELECT 1");
        self.done += 1;
    }
}

fn main() {
    let _ = (only_argument, in_a_transaction, named, any::<Client>, Job::run);
    let _ = asynchronous;
}
