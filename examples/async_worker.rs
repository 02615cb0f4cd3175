//! Async tasks that bill customers, one task at a time per customer, and one task that is canceled half-way.
//!
//! Run it with `cargo run -p pglock-examples --example async_worker`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pglock_examples as demo;
use pglock_examples::Error;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

const INVOICES_PER_TASK: i32 = 5;

/// One task at a time per customer, here and in every other process that shares the database.
#[pglock::advisory("customer-{customer}", timeout = "30s")]
async fn bill(db: &Client, customer: i32, task: &str, mail: &Mail) -> Result<(), Error> {
    let started: SystemTime = db.query_one("SELECT clock_timestamp()", &[]).await?.get(0);
    for _ in 0..INVOICES_PER_TASK {
        // Read, then write: two tasks at the same time would use the same number.
        let last = db
            .query_one(
                "SELECT coalesce(max(number), 0) FROM invoices WHERE customer = $1",
                &[&customer],
            )
            .await?;
        let number = last.get::<_, i32>(0) + 1;
        db.execute(
            "INSERT INTO invoices (customer, number) VALUES ($1, $2)",
            &[&customer, &number],
        )
        .await?;
        mail.send(number).await;
    }
    let job = format!("customer-{customer}");
    let pid = i32::try_from(std::process::id())?;
    db.execute(demo::RECORD_RUN, &[&job, &task, &pid, &started])
        .await?;
    Ok(())
}

/// Sends invoices; a gateway that is down accepts invoice 3, and never answers.
#[derive(Default)]
struct Mail {
    is_down: bool,
    hangs: Notify,
}

impl Mail {
    async fn send(&self, invoice: i32) {
        if self.is_down && invoice == 3 {
            self.hangs.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::main]
async fn bill_all(url: &str) -> Result<(), Error> {
    pglock::configure(url)?;
    let client = Arc::new(connect(url).await?);
    println!(
        "\nNine tasks bill customers 1, 2 and 3; task-0 bills customer 4, and its mail gateway is down."
    );
    let mut tasks = JoinSet::new();
    for number in 1..=9 {
        let client = Arc::clone(&client);
        let task = format!("task-{number}");
        tasks.spawn(async move { bill(&client, 1 + number % 3, &task, &Mail::default()).await });
    }
    let down = Arc::new(Mail {
        is_down: true,
        ..Mail::default()
    });
    let mut stuck = tokio::spawn({
        let (client, mail) = (Arc::clone(&client), Arc::clone(&down));
        async move { bill(&client, 4, "task-0", &mail).await }
    });

    // Another session observes the locks.
    let observer = connect(url).await?;
    tokio::select! {
        () = down.hangs.notified() => {}
        ended = &mut stuck => {
            ended??;
            return Err("task-0 did not hang".into());
        }
    }
    if !is_locked(&observer, "customer-4").await? {
        return Err("task-0 works, and pg_locks does not show its lock".into());
    }
    println!(
        "task-0 hangs after 3 invoices of {INVOICES_PER_TASK}; pg_locks shows that \"customer-4\" is locked."
    );
    stuck.abort();
    let aborted = Instant::now();
    while is_locked(&observer, "customer-4").await? {
        if aborted.elapsed() > Duration::from_secs(5) {
            return Err("task-0 was canceled, and its lock is still held".into());
        }
    }
    println!(
        "task-0 is canceled; {} ms later pg_locks shows no lock.",
        aborted.elapsed().as_millis()
    );
    bill(&client, 4, "task-10", &Mail::default()).await?;
    println!("task-10 has billed customer 4, from invoice 4 on.");
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    Ok(())
}

/// Whether any session holds the lock, by `pg_locks`.
async fn is_locked(observer: &Client, lock: &str) -> Result<bool, Error> {
    let (classid, objid) = pglock::advisory_id(lock);
    let row = observer
        .query_one(
            "SELECT count(*) > 0 FROM pg_locks JOIN pg_database ON pg_database.oid = database
             WHERE locktype = 'advisory' AND granted AND classid = $1 AND objid = $2 AND objsubid = 1
                 AND datname = current_database()",
            &[&classid, &objid],
        )
        .await?;
    Ok(row.get(0))
}

async fn connect(url: &str) -> Result<Client, Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // The task ends with the client. Errors before that are returned by the client's statements.
    tokio::spawn(connection);
    Ok(client)
}

fn demo() -> Result<(), Error> {
    let db = demo::create_database()?;
    let mut client = demo::connect(db.url())?;
    client.batch_execute(demo::CREATE_JOB_RUNS)?;
    client.batch_execute("CREATE TABLE invoices (customer int NOT NULL, number int NOT NULL)")?;
    bill_all(db.url())?;

    println!("\nWho ran when:");
    demo::check_runs(db.url())?;
    let twice = "SELECT FROM invoices GROUP BY customer, number HAVING count(*) > 1";
    if !client.query(twice, &[])?.is_empty() {
        return Err("an invoice number was used twice".into());
    }
    println!("No two runs of one customer overlapped, and no invoice number was used twice.");
    Ok(())
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn it_runs() -> Result<(), Error> {
    demo()
}
