//! Processes of the server that hold locks and have no client: they are named by what they are.

use std::time::Duration;

use pglock::Database;
use pglock_tests::{BOUND, Server, Waiter, wait_until};

use crate::{busy_table, holder};

/// It was a pid without a name.
#[test]
fn an_autovacuum_worker() {
    let server = Server::builder()
        .setting("autovacuum_naptime", "1s")
        // Postgres itself cancels a vacuum that blocks somebody for so long.
        .setting("deadlock_timeout", "10min")
        .start();
    let db = server.create_database();
    // So slow that it is seen.
    db.execute(
        "CREATE TABLE orders (filler text) WITH (fillfactor = 10, autovacuum_vacuum_cost_limit = 1, \
         autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0); \
         INSERT INTO orders SELECT repeat('x', 400) FROM generate_series(1, 2000); DELETE FROM orders",
    );
    let mut client = db.connect();
    wait_until("it is vacuumed", 2 * BOUND, || {
        let locks = pglock::locks().on(["orders"]).granted(true);
        let vacuum = locks.filter("mode=SHARE_UPDATE_EXCLUSIVE").unwrap();
        !vacuum.fetch(&mut client).unwrap().is_empty()
    });
    let error = busy_table(&mut client, pglock::table("orders"));
    let vacuum = holder(&error);
    assert!(
        error
            .to_string()
            .ends_with(&format!(": held by pid {} (autovacuum worker)", vacuum.pid)),
        "{error}"
    );

    let waiter = Waiter::start(&db, "BEGIN; LOCK TABLE orders; COMMIT");
    let graph = pglock::wait_graph().fetch(&mut client).unwrap().to_string();
    let name = format!("pid {} (autovacuum worker), ACTIVE", vacuum.pid);
    assert!(graph.starts_with(&name), "{graph}");
    db.terminate(waiter.pid);

    let here = Database::builder(db.url()).build().unwrap();
    let prioritized = pglock::prioritize()
        .using(&here)
        .interval(Duration::from_millis(100));
    let mut section = prioritized.on(&mut client).unwrap();
    section
        .batch_execute("BEGIN; LOCK TABLE orders IN SHARE MODE; COMMIT")
        .unwrap();
    let report = section.finish().unwrap().to_string();
    let line = format!("pid {}, autovacuum worker: terminated", vacuum.pid);
    assert!(report.lines().any(|it| it == line), "{report}");
}
