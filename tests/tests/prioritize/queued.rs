//! Sessions that only wait ahead of a section, while one that must not be signaled bars its way as well: their end would win
//! nothing.

use pglock::{BlockerAction, Spared, Terminate};
use pglock_tests::{TestDb, Waiter, database};

use crate::{Blocker, INTERVAL, prioritize};

const UPDATE: &str = "UPDATE orders SET id = id";

/// What a section that waits for this does about its blockers, while `blocker` must not be signaled: by pid.
fn report(db: &TestDb, waits: &str) -> Vec<(i32, BlockerAction)> {
    let spare = Terminate::new().never_application("spared");
    let mut client = db.connect();
    let mut section = prioritize(db)
        .timeout(5 * INTERVAL)
        .side_effect(spare)
        .on(&mut client)
        .unwrap();
    let _ = section.batch_execute(waits);
    let report = section.finish().unwrap();
    let mut found: Vec<_> = report
        .blockers()
        .iter()
        .map(|it| (it.pid, it.action))
        .collect();
    found.sort_unstable_by_key(|(pid, _)| *pid);
    found
}

fn sorted(mut expected: [(i32, Spared); 2]) -> Vec<(i32, BlockerAction)> {
    expected.sort_unstable_by_key(|(pid, _)| *pid);
    expected
        .map(|(pid, why)| (pid, BlockerAction::Spared(why)))
        .to_vec()
}

#[test]
fn behind_one_that_holds_the_table() {
    let db = database();
    db.execute("CREATE TABLE orders (id int)");
    let holder = Blocker::named(&db, "spared", "BEGIN; LOCK TABLE orders IN SHARE MODE");
    let queued = Waiter::start(&db, "BEGIN; LOCK TABLE orders; COMMIT");
    let expected = [
        (holder.pid, Spared::Application),
        (queued.pid, Spared::Queued),
    ];
    assert_eq!(
        report(&db, "INSERT INTO orders VALUES (1)"),
        sorted(expected)
    );
    drop(holder);
    queued.finish();
}

/// The second holds the lock on the row while it waits for the first's transaction.
#[test]
fn behind_one_that_has_the_row() {
    let db = database();
    db.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)");
    let holder = Blocker::named(&db, "spared", &format!("BEGIN; {UPDATE}"));
    let queued = Waiter::start(&db, UPDATE);
    let found = report(&db, UPDATE);
    let spared = BlockerAction::Spared(Spared::Queued);
    assert_eq!(found, [(queued.pid, spared)], "{}", holder.pid);
    drop(holder);
    queued.finish();
}

/// Nobody else bars the way: it is the one that waits who does.
#[test]
fn one_that_bars_the_way_by_itself_is_ended() {
    let db = database();
    db.execute("CREATE TABLE orders (id int)");
    let reader = Blocker::named(&db, "spared", "BEGIN; SELECT FROM orders");
    let queued = Waiter::start(&db, "BEGIN; LOCK TABLE orders; COMMIT");
    let found = report(&db, "SELECT FROM orders");
    assert_eq!(
        found,
        [(queued.pid, BlockerAction::Terminated)],
        "{}",
        reader.pid
    );
}
