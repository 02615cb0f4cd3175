//! A migration that is blocked by a session that left its transaction open. With a lock timeout it gives up; prioritized,
//! it terminates that session, succeeds, and reports which session it terminated.
//!
//! Run it with `cargo run -p pglock-examples --example migration`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use pglock_examples as demo;
use pglock_examples::Error;
use postgres::Client;

/// Gives up after half a second, so that it does not block everybody who queues up behind it.
#[pglock::timeout("500ms")]
fn patient(client: &mut Client) -> Result<(), Error> {
    Ok(client.batch_execute("ALTER TABLE orders ADD total numeric")?)
}

/// Terminates blocking sessions that are idle in a transaction, but no backup.
#[pglock::prioritize(
    interval = "200ms",
    timeout = "10s",
    using = database,
    client = client,
    side_effect = pglock::Terminate::new()
        .never_application("pg_dump")
        .filter("blocking_activity__state=IDLE_IN_TRANSACTION")?
)]
fn prioritized(client: &mut Client, database: &pglock::Database) -> Result<(), Error> {
    Ok(client.batch_execute("ALTER TABLE orders ADD total numeric")?)
}

/// The same by hand, for the report.
fn prioritized_with_report(
    client: &mut Client,
    database: &pglock::Database,
) -> Result<pglock::PrioritizeReport, Error> {
    let mut section = pglock::prioritize()
        .interval(Duration::from_millis(200))
        .timeout(Duration::from_secs(10))
        .using(database)
        .on(client)?;
    section.batch_execute("ALTER TABLE orders ADD currency text")?;
    Ok(section.finish()?)
}

/// A session that reads the table and leaves its transaction open.
fn idle_reader(url: &str, name: &str) -> Result<Client, Error> {
    let mut reader = demo::connect(url)?;
    reader.batch_execute(&format!(
        "SET application_name = '{name}'; BEGIN; SELECT count(*) FROM orders"
    ))?;
    Ok(reader)
}

fn demo() -> Result<(), Error> {
    let db = demo::create_database()?;
    let database = pglock::Database::builder(db.url())
        .application_name("migration")
        .build()?;
    let mut client = demo::connect(db.url())?;
    client.batch_execute("CREATE TABLE orders (id int)")?;

    let mut reader = idle_reader(db.url(), "report")?;
    println!("The session \"report\" has read orders, and is idle in its transaction.");

    let began = Instant::now();
    match patient(&mut client) {
        Ok(()) => return Err("nobody blocked the migration".into()),
        Err(error) => println!(
            "With `timeout`: gave up after {:?} ({})",
            began.elapsed(),
            demo::with_causes(&*error)
        ),
    }

    let began = Instant::now();
    prioritized(&mut client, &database)?;
    println!("With `prioritize`: done after {:?}", began.elapsed());
    match reader.batch_execute("COMMIT") {
        Ok(()) => return Err("the reader was not terminated".into()),
        Err(error) => println!(
            "The error that \"report\" gets: {}",
            demo::with_causes(&error)
        ),
    }

    let _reader = idle_reader(db.url(), "report-2")?;
    let report = prioritized_with_report(&mut client, &database)?;
    println!("By hand, with a report:\n  {report}");
    Ok(())
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn it_runs() -> Result<(), Error> {
    demo()
}
