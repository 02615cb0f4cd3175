//! Metrics. They are shared by the tests of this file, which look at locks of their own names.

use metrics::Unit;
use pglock::{Database, Error};
use pglock_tests::{BOUND, Waiter, background, database, wait_until};

use super::metrics_recorder::numbers;
use super::{another_handle, assert_documented, handle};

const EXCLUSIVE: (&str, &str) = ("mode", "exclusive");

#[test]
fn attempts_outcomes_waits_and_holds_are_counted() {
    #[pglock::advisory("counted-{number}", using = here, timeout = 0, side_effect = Skip)]
    fn job(number: u32, here: &Database, inside: impl FnOnce()) -> Result<(), Error> {
        inside();
        Ok(())
    }

    let numbers = numbers();
    let db = database();
    let here = handle(&db);
    job(1, &here, || {
        // In another thread, since a call inside a call re-enters.
        let skipped = std::thread::scope(|scope| {
            let other = scope.spawn(|| job(1, &here, || panic!("it is busy")));
            other.join().unwrap()
        });
        skipped.unwrap();
    })
    .unwrap();
    let lock = ("lock", "counted-{number}");
    let of = |name, outcome| numbers.of(name, &[lock, EXCLUSIVE, ("outcome", outcome)]);
    assert_eq!(
        numbers.count("pglock_attempts_total", &[lock, EXCLUSIVE]),
        2
    );
    for outcome in ["granted", "skipped"] {
        assert_eq!(of("pglock_outcomes_total", outcome).len(), 1);
        let waits = of("pglock_wait_seconds", outcome);
        assert!(waits.len() == 1 && waits[0] > 0.0 && waits[0] < 60.0);
    }
    let holds = of("pglock_hold_seconds", "released");
    assert!(holds.len() == 1 && holds[0] > 0.0 && holds[0] < 60.0);
}

#[test]
fn what_pglock_gives_back_before_its_caller_has_it_is_no_hold() {
    let numbers = numbers();
    let db = database();
    let (here, there) = (handle(&db), another_handle(&db));
    let released = |label| {
        let labels = [("lock", label), EXCLUSIVE, ("outcome", "released")];
        numbers.of("pglock_hold_seconds", &labels).len()
    };

    let all = pglock::advisory_all(["several a", "several b"]).label("several");
    for busy in ["several a", "several b"] {
        let guard = pglock::advisory(busy).using(&there).acquire().unwrap();
        assert!(all.clone().using(&here).try_acquire().unwrap().is_none());
        guard.release().unwrap();
    }
    assert_eq!(released("several"), 0);
    all.using(&here).acquire().unwrap().release().unwrap();
    assert_eq!(released("several"), 2);

    // Who finds the first one busy tries several at once.
    let limit = pglock::limit(4, "searched").label("searched");
    let first = limit.clone().using(&there).acquire().unwrap();
    let tries = 30;
    for _ in 0..tries {
        let permit = limit.clone().using(&here).acquire().unwrap();
        permit.release().unwrap();
    }
    assert_eq!(released("searched"), tries);
    first.release().unwrap();

    let hour = std::time::Duration::from_secs(3_600);
    let once = pglock::advisory("due").label("due").once_in(hour);
    let once = once.using(&here);
    once.clone().acquire().unwrap().release().unwrap();
    assert!(once.acquire().unwrap_err().is_busy());
    assert_eq!(released("due"), 1);
}

#[test]
fn a_permit_that_is_lost_is_recorded_as_that() {
    let numbers = numbers();
    let db = database();
    let limit = pglock::limit(2, "lost permit").label("lost permit");
    let permit = limit.using(handle(&db)).acquire().unwrap();
    db.terminate(db.advisory_locks()[0].pid);
    let labels = [("lock", "lost permit"), EXCLUSIVE, ("outcome", "lost")];
    wait_until("the loss is counted", BOUND, || {
        numbers.of("pglock_hold_seconds", &labels).len() == 1
    });
    assert!(permit.release().unwrap_err().is_lost());
}

#[test]
fn without_a_server_the_numbers_are_the_same() {
    let numbers = numbers();
    let here = Database::in_process();
    let lock = || pglock::advisory("counted").label("in process").using(&here);
    let guard = lock().acquire().unwrap();
    assert!(lock().try_acquire().unwrap().is_none());
    guard.release().unwrap();
    let lock = ("lock", "in process");
    let attempts = numbers.count("pglock_attempts_total", &[lock, EXCLUSIVE]);
    assert_eq!(attempts, 2);
    let of = |name, outcome| numbers.of(name, &[lock, EXCLUSIVE, ("outcome", outcome)]);
    for outcome in ["granted", "skipped"] {
        assert_eq!(of("pglock_outcomes_total", outcome).len(), 1);
    }
    assert_eq!(of("pglock_hold_seconds", "released").len(), 1);
}

#[test]
fn a_loss_ends_the_hold() {
    let numbers = numbers();
    let db = database();
    let here = handle(&db);
    let lock = pglock::advisory("measured").label("lost").using(&here);
    let guard = lock.acquire().unwrap();
    db.terminate(db.advisory_locks()[0].pid);
    let labels = [("lock", "lost"), EXCLUSIVE, ("outcome", "lost")];
    wait_until("the loss is counted", BOUND, || {
        numbers.of("pglock_hold_seconds", &labels).len() == 1
    });
    assert!(guard.release().unwrap_err().is_lost());
    assert_eq!(numbers.of("pglock_hold_seconds", &labels).len(), 1);
}

#[test]
fn locks_without_a_label_are_counted_together() {
    let numbers = numbers();
    let db = database();
    let here = handle(&db);
    let customers = 1_000..1_003;
    for customer in customers {
        let lock = pglock::advisory(format!("customer-{customer}")).shared();
        let guard = lock.using(&here).acquire().unwrap();
        guard.release().unwrap();
    }
    let labels = [("lock", "unlabeled"), ("mode", "shared")];
    assert_eq!(numbers.count("pglock_attempts_total", &labels), 3);
}

#[test]
fn signals_are_counted() {
    let numbers = numbers();
    let db = database();
    let mut blocker = db.connect();
    blocker.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let signals = || numbers.count("pglock_signals_total", &[("action", "terminated")]);
    let before = signals();
    let signaled = pglock::blocked_locks().terminate_blocking_activity(&mut client);
    assert_eq!(signaled.unwrap().len(), 1);
    // Other tests of this process signal too.
    assert!(signals() > before);
    drop(waiter);
}

#[test]
fn open_sessions_are_counted_by_what_they_are_for() {
    let numbers = numbers();
    let db = database();
    let here = handle(&db);
    let open = |role| {
        let labels = [("database", db.name()), ("role", role)];
        numbers.of("pglock_sessions", &labels).last().copied()
    };
    let becomes = |role, count| {
        wait_until(&format!("{count} for {role}"), BOUND, || {
            open(role) == Some(count)
        });
    };
    let shared = pglock::advisory("one").using(&here).acquire().unwrap();
    becomes("shared", 1.0);
    let own = || {
        let lock = pglock::advisory("two").xact().using(&here);
        lock.acquire().unwrap()
    };
    let first = own();
    becomes("own", 1.0);
    first.release().unwrap();
    becomes("own", 0.0);
    becomes("idle", 1.0);
    let again = own();
    becomes("idle", 0.0);
    becomes("own", 1.0);
    // For another handle this is another process.
    let there = another_handle(&db);
    let waiter = background("it gets the lock", move || {
        pglock::advisory("one").using(&there).acquire()
    });
    becomes("wait", 1.0);
    shared.release().unwrap();
    waiter.finish(BOUND).unwrap().release().unwrap();
    // Ended by the server, whoever uses them.
    db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name ~ '^pglock: '",
    );
    for role in ["shared", "wait", "own"] {
        becomes(role, 0.0);
    }
    assert!(again.release().is_err());
}

#[test]
fn a_leader_is_one_while_its_body_runs() {
    let numbers = numbers();
    let db = database();
    let leader = pglock::leader("scheduler").label("scheduler");
    let leads = || {
        let labels = [("lock", "scheduler")];
        numbers.of("pglock_leading", &labels).last().copied()
    };
    let led = leader.using(handle(&db)).lead(|| async {
        assert_eq!(leads(), Some(1.0));
        Ok::<_, pglock::Error>(())
    });
    pollster::block_on(led).unwrap();
    assert_eq!(leads(), Some(0.0));
    // Two of one label, of which one ends.
    let of_shard = |shard: u8| pglock::leader(format!("shard-{shard}")).label("scheduler");
    let here = handle(&db);
    let both = of_shard(1).using(&here).lead(|| async {
        let inner = of_shard(2).using(&here).lead(|| async {
            assert_eq!(leads(), Some(2.0));
            Ok::<_, pglock::Error>(())
        });
        inner.await?;
        assert_eq!(leads(), Some(1.0));
        Ok::<_, pglock::Error>(())
    });
    pollster::block_on(both).unwrap();
    assert_eq!(leads(), Some(0.0));
}

#[test]
fn metrics_are_described_to_the_recorder() {
    let numbers = numbers();
    pglock::describe_metrics();
    let described = numbers.described();
    assert_eq!(described.len(), 8, "{described:?}");
    for (name, (unit, text)) in described {
        assert_documented(&name);
        let expected = if name.ends_with("_seconds") {
            Unit::Seconds
        } else {
            Unit::Count
        };
        assert_eq!(unit, Some(expected), "{name}");
        assert!(text.ends_with('.'), "{name}: {text}");
    }
}
