//! Five sessions that block each other: which waits for which, and which one is the cause.
//!
//! A report has read a table and left its transaction open. A migration waits for it, and all later readers of the table
//! queue up behind the migration; one of them holds an advisory lock that another session waits for.
//! Run it with `cargo run -p pglock-examples --example who_blocks_whom`.

use std::process::ExitCode;

use pglock_examples as demo;
use pglock_examples::{Error, Waiter};

fn demo() -> Result<(), Error> {
    let db = demo::create_database()?;
    db.execute("CREATE TABLE orders (id int, paid bool); INSERT INTO orders VALUES (1, false)");

    let mut report = db.connect_as("report");
    report.batch_execute("BEGIN; SELECT count(*) FROM orders")?;
    let stuck = |name: &str, statements: &str| Waiter::of(&db, db.connect_as(name), statements);
    let migration = stuck("migration", "ALTER TABLE orders ADD note text");
    let web = stuck("web", "SELECT * FROM orders WHERE NOT paid");
    let mut billing = db.connect_as("billing");
    billing.batch_execute("SELECT pg_advisory_lock(42)")?;
    let billing = Waiter::of(&db, billing, "UPDATE orders SET paid = true");
    let worker = stuck("worker", "SELECT pg_advisory_lock(42)");

    println!("\nwait_graph(): all of it, as a tree");
    let mut client = demo::connect(db.url())?;
    let graph = pglock::wait_graph().fetch(&mut client)?;
    println!("{graph}");

    println!("\nblocked_locks(): a row for each session and its blocker");
    for blocked in pglock::blocked_locks().fetch(&mut client)? {
        println!("{blocked}");
    }

    let [root] = graph.roots()[..] else {
        return Err(format!("expected one root: {graph}").into());
    };
    println!(
        "\nroots(): this one blocks others, and waits for nobody\n{}",
        root.activity
    );
    pglock::locks()
        .pid([root.activity.pid])
        .terminate_activity(&mut client)?;
    for session in [migration, web, billing, worker] {
        session.finish();
    }
    let graph = pglock::wait_graph().fetch(&mut client)?;
    println!("It was terminated, and the others went on: {graph}");
    if graph.is_empty() {
        Ok(())
    } else {
        Err("a session still waits".into())
    }
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn the_session_that_blocks_all_others_is_found() {
    demo().unwrap();
}
