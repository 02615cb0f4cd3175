//! Waiting for a lock harms nobody: not those who build an index, not vacuum, not the server.

use std::time::{Duration, Instant};

use pglock::{Database, Error, Guard};
use pglock_tests::{BOUND, Server, TestDb, Waiter, background, database, wait_until};

fn handle(db: &TestDb, name: &str) -> Database {
    let builder = Database::builder(db.url()).application_name(name.to_owned());
    builder.build().unwrap()
}

#[test]
fn an_index_is_built_concurrently_by_the_holder_while_others_wait_for_its_lock() {
    // Each is of a process of its own, as far as pglock knows. If they went one after the other, it would take 16 s.
    const WAITERS: usize = 16;
    let db = database();
    db.execute("CREATE TABLE built (id int); INSERT INTO built SELECT generate_series(1, 1000)");
    let holder = handle(&db, "holder");
    let guard = pglock::advisory("build").using(&holder).acquire().unwrap();
    let waiters: Vec<_> = (0..WAITERS)
        .map(|number| {
            let name = if number == 7 { "xact" } else { "other" };
            let here = handle(&db, &format!("{name} {number}"));
            background("the waiter gets it", move || {
                let lock = pglock::advisory("build").using(&here).timeout(2 * BOUND);
                if name == "xact" {
                    lock.xact().run(|| Ok::<_, Error>(()))
                } else {
                    lock.run(|| Ok::<_, Error>(()))
                }
            })
        })
        .collect();
    db.wait_for_waiters(WAITERS);
    let mut client = db.connect();
    let began = Instant::now();
    client
        .batch_execute("CREATE INDEX CONCURRENTLY ON built (id)")
        .unwrap();
    // Less than 2 s on an idle machine.
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // They wait all the same.
    db.wait_for_waiters(WAITERS);
    guard.release().unwrap();
    for waiter in waiters {
        waiter.finish(BOUND).unwrap();
    }
    db.wait_for_no_locks();
}

#[test]
fn waits_on_connections_of_the_callers_hold_up_no_index_and_no_vacuum() {
    let db = database();
    db.execute("CREATE TABLE built (id int); INSERT INTO built SELECT generate_series(1, 1000)");
    let mut holder = db.connect();
    let mut locked = pglock::advisory("build").on(&mut holder).acquire().unwrap();
    let waiters: Vec<_> = [None, Some(2 * BOUND)]
        .map(|timeout| {
            let mut client = db.connect_as("waiter");
            client
                .batch_execute("SET deadlock_timeout = '300ms'")
                .unwrap();
            background("the waiter gets it", move || {
                let lock = pglock::advisory("build").timeout(timeout);
                lock.on(&mut client).acquire().map(drop)
            })
        })
        .into();
    db.wait_for_waiters(2);
    locked
        .batch_execute("SET statement_timeout = '15s'")
        .unwrap();
    // At various moments of their slices: before the server has looked for deadlocks, and after that.
    for index in ["one", "two", "three", "four", "five"] {
        let began = Instant::now();
        let build = format!("CREATE INDEX CONCURRENTLY {index} ON built (id)");
        locked.batch_execute(&build).unwrap();
        // Less than 0.7 s on an idle machine.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?}");
        db.wait_for_waiters(2);
    }
    let row = locked
        .query_one("SELECT txid_current()::text", &[])
        .unwrap();
    let now: &str = row.get(0);
    let newer = format!(
        "SELECT FROM pg_stat_activity WHERE application_name = 'waiter' AND datname = current_database() \
         AND wait_event_type = 'Lock' AND backend_xmin::text::bigint > {now}"
    );
    wait_until(
        "no snapshot is older than that",
        Duration::from_secs(5),
        || {
            // Snapshots are newer only if there is something newer.
            locked.query_one("SELECT txid_current()", &[]).unwrap();
            locked.query(&newer, &[]).unwrap().len() == 2
        },
    );
    locked.release().unwrap();
    for waiter in waiters {
        waiter.finish(BOUND).unwrap();
    }
}

#[test]
fn no_wait_keeps_a_snapshot_for_longer_than_half_a_minute() {
    let db = database();
    let mut holder = db.connect();
    let held = pglock::advisory("long").on(&mut holder).acquire().unwrap();
    let here = handle(&db, "long waiter");
    let waiter = background("the waiter gets it", move || {
        pglock::advisory("long").using(&here).acquire().map(drop)
    });
    db.wait_for_waiters(1);
    let mut client = db.connect();
    let mut since = || -> Option<Duration> {
        let row = client
            .query_opt(
                "SELECT extract(epoch FROM clock_timestamp() - query_start)::float8 FROM pg_stat_activity \
                 WHERE application_name = 'pglock: long waiter' AND wait_event_type = 'Lock'",
                &[],
            )
            .unwrap();
        row.map(|row| Duration::from_secs_f64(row.get::<_, f64>(0).max(0.0)))
    };
    let mut oldest = Duration::ZERO;
    wait_until("the wait is begun anew", Duration::from_secs(40), || {
        let age = since();
        oldest = oldest.max(age.unwrap_or_default());
        age.is_some_and(|age| age < Duration::from_secs(10)) && oldest > Duration::from_secs(20)
    });
    assert!(oldest < Duration::from_secs(30), "{oldest:?}");
    held.release().unwrap();
    waiter.finish(BOUND).unwrap();
}

#[test]
fn in_a_crowd_a_waiter_comes_and_goes_so_that_the_server_does_not_stall() {
    let server = Server::builder().setting("max_connections", "150").start();
    let db = server.create_database();
    let mut holder = db.connect();
    holder.batch_execute("SELECT pg_advisory_lock(7)").unwrap();
    let crowd: Vec<Waiter> = (0..105)
        .map(|_| Waiter::start(&db, "SELECT pg_advisory_lock_shared(7)"))
        .collect();
    let here = handle(&db, "here");
    let waiter = background("the waiter gets it", move || -> Result<Guard, Error> {
        pglock::advisory(7).shared().using(&here).acquire()
    });
    wait_until("it waits", BOUND, || db.waiting(7) == 106);
    for _ in 0..2 {
        wait_until("it has left the queue", BOUND, || db.waiting(7) == 105);
        wait_until("it is back", BOUND, || db.waiting(7) == 106);
    }
    holder
        .batch_execute("SELECT pg_advisory_unlock(7)")
        .unwrap();
    waiter.finish(BOUND).unwrap().release().unwrap();
    for one in crowd {
        one.finish();
    }
}
