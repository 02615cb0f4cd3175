//! At most so many at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pglock::{Advisory, Database, Error, Guard, PermitScope};
use pglock_tests::{BOUND, Child, Key, TestDb, background, child, database, wait_until};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// Handles of one program each, as far as the server can tell.
fn handles(db: &TestDb, count: usize) -> Vec<Database> {
    let named = |nth| Database::builder(db.url()).application_name(format!("worker-{nth}"));
    (0..count).map(|nth| named(nth).build().unwrap()).collect()
}

fn sms(here: &Database) -> Advisory<PermitScope> {
    pglock::limit(3, "sms").using(here)
}

fn fill(here: &Database) -> Vec<Guard> {
    (0..3).map(|_| sms(here).acquire().unwrap()).collect()
}

/// The session that has a permit.
fn session_of(db: &TestDb, permit: &Guard) -> i32 {
    let slot = permit.slot().unwrap();
    let key = Key::from(pglock::advisory_id(format!("sms (slot {slot})")));
    let locks = db.advisory_locks();
    locks.iter().find(|lock| lock.key == key).unwrap().pid
}

#[test]
fn so_many_hold_a_permit_and_no_more() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let mut permits = vec![
        sms(&here).acquire().unwrap(),
        sms(&there).acquire().unwrap(),
        pollster::block_on(sms(&here).acquire_async()).unwrap(),
    ];
    let slots: HashSet<_> = permits
        .iter()
        .map(|permit| permit.slot().unwrap())
        .collect();
    assert_eq!(slots, HashSet::from([0, 1, 2]));
    for database in [&here, &there] {
        assert!(sms(database).try_acquire().unwrap().is_none());
        let waited = sms(database).timeout(Duration::from_millis(100)).acquire();
        assert!(waited.unwrap_err().is_busy());
    }
    let slot = permits[1].slot();
    permits.swap_remove(1).release().unwrap();
    let next = sms(&here).acquire().unwrap();
    assert_eq!(next.slot(), slot);
    drop((permits, next));
    db.wait_for_no_locks();
}

#[test]
fn a_full_limit_says_who_has_a_permit_and_how_many_there_are() {
    let db = database();
    let there = Database::builder(db.url())
        .application_name("worker-1")
        .build()
        .unwrap();
    let _permits = fill(&there);
    let here = handle(&db);
    let tried = sms(&here).timeout(Duration::ZERO).acquire().unwrap_err();
    let waited = sms(&here)
        .timeout(Duration::from_millis(50))
        .acquire()
        .unwrap_err();
    for error in [&tried, &waited] {
        assert!(error.is_busy());
        assert_eq!(
            error.holder().unwrap().application_name,
            "pglock: worker-1",
            "{error}"
        );
    }
    let text = tried.to_string();
    assert!(
        text.starts_with("all 3 permits of limit \"sms\" are taken: one is held"),
        "{text}"
    );
    let text = waited.to_string();
    assert!(
        text.starts_with("all 3 permits of limit \"sms\" are taken after a wait of 50 ms: one is"),
        "{text}"
    );
    // Also those who are not first in line.
    let first = background("the first gives up", {
        let here = here.clone();
        move || sms(&here).timeout(Duration::from_secs(2)).acquire()
    });
    wait_until("somebody is first in line", BOUND, || {
        db.held(pglock::advisory_id("sms")) == 1
    });
    let behind = sms(&handle(&db))
        .timeout(Duration::from_millis(50))
        .acquire();
    assert!(
        behind
            .unwrap_err()
            .to_string()
            .contains("\"pglock: worker-1\"")
    );
    let tried = sms(&handle(&db)).try_acquire();
    assert!(tried.unwrap().is_none());
    assert!(first.finish(BOUND).unwrap_err().is_busy());
}

#[test]
fn callers_that_try_at_once_all_get_a_permit_while_there_are_some() {
    let db = database();
    for here in handles(&db, 4) {
        let permits: Vec<_> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..3)
                .map(|_| scope.spawn(|| sms(&here).try_acquire()))
                .collect();
            let tries = tries.into_iter();
            tries.map(|tried| tried.join().unwrap().unwrap()).collect()
        });
        assert!(permits.iter().all(Option::is_some), "{permits:?}");
        drop(permits);
        db.wait_for_no_locks();
    }
}

#[test]
fn those_who_wait_are_served_in_order() {
    let db = database();
    let here = handle(&db);
    let mut permits = fill(&here);
    let order = Arc::new(Mutex::new(Vec::new()));
    let waiters: Vec<_> = handles(&db, 6)
        .into_iter()
        .enumerate()
        .map(|(nth, there)| {
            let order = Arc::clone(&order);
            let waiter = background("it is served", move || {
                let permit = sms(&there).acquire().unwrap();
                order.lock().unwrap().push(nth);
                permit
            });
            // One is first in line, the others wait for that.
            let line = pglock::advisory_id("sms");
            wait_until("it stands in line", BOUND, || {
                db.held(line) == 1 && db.waiting(line) == nth
            });
            waiter
        })
        .collect();
    for (nth, waiter) in waiters.into_iter().enumerate() {
        permits.remove(0).release().unwrap();
        wait_until("one is served", BOUND, || order.lock().unwrap().len() > nth);
        permits.push(waiter.finish(BOUND));
    }
    drop(permits);
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4, 5]);
    db.wait_for_no_locks();
}

#[test]
fn a_permit_is_free_once_its_session_is_gone() {
    let db = database();
    let here = handle(&db);
    let dedicated: Vec<_> = (0..3)
        .map(|_| sms(&here).dedicated().acquire().unwrap())
        .collect();
    let slot = dedicated[1].slot();
    let waiter = background("it gets the permit", {
        let there = handle(&db);
        move || sms(&there).acquire().map(|permit| permit.slot())
    });
    wait_until("it is first in line", BOUND, || {
        db.held(pglock::advisory_id("sms")) == 1
    });
    db.terminate(session_of(&db, &dedicated[1]));
    assert_eq!(waiter.finish(BOUND).unwrap(), slot);
    wait_until("the loss is known", BOUND, || dedicated[1].check().is_err());
}

#[test]
fn never_more_than_so_many_while_holders_are_killed() {
    const HOLDS: usize = 300;
    let db = database();
    let (inside, most, done) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicUsize::new(0),
    );
    let hold = |here: &Database| {
        let permit = sms(here).dedicated().acquire().unwrap();
        most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(10));
        inside.fetch_sub(1, Ordering::SeqCst);
        if done.fetch_add(1, Ordering::SeqCst).is_multiple_of(10) {
            // It frees its permit by its end.
            let session = session_of(&db, &permit);
            db.terminate(session);
            assert!(permit.release().unwrap_err().is_lost());
        }
    };
    std::thread::scope(|scope| {
        for here in handles(&db, 12) {
            let (hold, done) = (&hold, &done);
            scope.spawn(move || {
                while done.load(Ordering::SeqCst) < HOLDS {
                    hold(&here);
                }
            });
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 3);
    db.wait_for_no_locks();
}

#[test]
fn a_call_inside_a_call_shares_its_permit() {
    let db = database();
    let here = handle(&db);
    let innermost = || {
        // The permit, and the number of them.
        wait_until("it has one permit", BOUND, || {
            db.advisory_locks().len() == 2
        });
        Ok::<_, Error>(())
    };
    let inner = || sms(&here).run(innermost);
    sms(&here).run(|| sms(&here).run(inner)).unwrap();
    let guard = sms(&here).run(|| {
        let other = pglock::limit(2, "mail").using(&here).acquire()?;
        Ok::<_, Error>(other)
    });
    guard.unwrap().release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn whoever_gives_it_another_number_is_told() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let permit = sms(&here).acquire().unwrap();
    let error = pglock::limit(5, "sms").using(&there).acquire().unwrap_err();
    assert!(error.is_config(), "{error}");
    let text = error.to_string();
    let pid = db.advisory_locks()[0].pid;
    assert!(
        text.contains("5 permits here") && text.contains("3 where pid"),
        "{text}"
    );
    assert!(text.contains(&pid.to_string()), "{text}");
    permit.release().unwrap();
    db.wait_for_no_locks();
    // The old ones have ended.
    pglock::limit(5, "sms")
        .using(&there)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
    // Another limit is another one.
    let _one = pglock::limit(5, "mail").using(&there).acquire().unwrap();
    sms(&here).acquire().unwrap().release().unwrap();
}

#[test]
fn a_limit_that_cannot_be_is_refused() {
    let db = database();
    let here = handle(&db);
    for count in [0, 1, 1_001] {
        let error = pglock::limit(count, "sms")
            .using(&here)
            .acquire()
            .unwrap_err();
        assert!(error.is_config(), "{error}");
    }
}

#[test]
fn nobody_begins_while_somebody_holds_the_limits_own_lock() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let stopped = pglock::advisory("sms").using(&there).acquire().unwrap();
    assert!(sms(&here).try_acquire().unwrap().is_none());
    let error = sms(&here).timeout(Duration::from_millis(500)).acquire();
    let error = error.unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(
        error.to_string().starts_with("lock \"sms\" is busy"),
        "{error}"
    );
    assert_eq!(error.holder().unwrap().application_name, "pglock: worker-1");
    stopped.release().unwrap();
    db.wait_for_no_locks();
}

#[test]
fn a_name_and_a_number_that_looks_like_it_are_two_limits() {
    let db = database();
    let here = handle(&db);
    let by_number = || pglock::limit(2, 42).using(&here);
    let by_name = || pglock::limit(3, "42").using(&here);
    let _permits = [
        by_number().acquire().unwrap(),
        by_number().acquire().unwrap(),
    ];
    let _others = [by_name().acquire().unwrap(), by_name().acquire().unwrap()];
    assert!(by_number().try_acquire().unwrap().is_none());
}

#[test]
fn a_thread_that_has_all_permits_does_not_wait_for_itself() {
    let db = database();
    let here = handle(&db);
    let waits = background("it is told", move || {
        let permits = fill(&here);
        let error = sms(&here).acquire().unwrap_err();
        drop(permits);
        error
    });
    let error = waits.finish(BOUND);
    assert!(error.is_config(), "{error}");
}

#[test]
fn one_that_is_first_in_line_and_loses_that_stands_in_line_again() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let mut permits = fill(&there);
    let waiter = background("it gets a permit", move || sms(&here).acquire().unwrap());
    let line = Key::from(pglock::advisory_id("sms"));
    let first = || {
        db.advisory_locks()
            .into_iter()
            .find(|lock| lock.key == line)
    };
    wait_until("it is first in line", BOUND, || first().is_some());
    let lost = first().unwrap().pid;
    db.terminate(lost);
    wait_until("it is again, by another session", BOUND, || {
        first().is_some_and(|lock| lock.pid != lost)
    });
    permits.remove(0).release().unwrap();
    waiter.finish(BOUND).check().unwrap();
}

#[test]
fn a_caller_that_is_gone_leaves_nothing() {
    let db = database();
    let here = handle(&db);
    let permits = fill(&here);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let there = handle(&db);
        let wait = sms(&there).acquire_async();
        let waited = tokio::time::timeout(Duration::from_millis(300), wait).await;
        assert!(waited.is_err());
    });
    drop(permits);
    db.wait_for_no_locks();
}

#[test]
fn a_thousand_permits_are_found_in_a_few_round_trips() {
    let db = database();
    let here = handle(&db);
    let many = || pglock::limit(1_000, "many").using(&here);
    let permits: Vec<_> = pollster::block_on(async {
        let mut permits = Vec::new();
        for _ in 0..1_000 {
            permits.push(many().acquire_async().await.unwrap());
        }
        permits
    });
    assert!(many().try_acquire().unwrap().is_none());
    let slots: HashSet<_> = permits.iter().map(Guard::slot).collect();
    assert_eq!(slots.len(), 1_000);
    let sessions: HashSet<_> = db.advisory_locks().iter().map(|lock| lock.pid).collect();
    assert_eq!(sessions.len(), 1);
    drop(permits);
    db.wait_for_no_locks_within(BOUND);
}

#[test]
fn the_attribute_skips_waits_and_says_so() {
    #[pglock::limit(3, "sms", timeout = 0, side_effect = Skip, using = here)]
    fn send(here: &Database, inside: impl FnOnce()) -> Result<Option<u32>, Error> {
        inside();
        Ok(Some(1))
    }

    #[pglock::limit(3, "sms", timeout = "50ms", using = here)]
    async fn send_async(here: &Database) -> Result<(), Error> {
        Ok(())
    }

    let db = database();
    let here = handle(&db);
    let slots = || {
        db.advisory_locks()
            .iter()
            .filter(|lock| lock.key.objsubid == 1)
            .count()
    };
    let sent = send(&here, || wait_until("it has one", BOUND, || slots() == 1));
    assert_eq!(sent.unwrap(), Some(1));
    let permits = fill(&here);
    assert_eq!(send(&here, || panic!("it is full")).unwrap(), None);
    let error = pollster::block_on(send_async(&here)).unwrap_err();
    assert!(error.is_busy(), "{error}");
    drop(permits);
    pollster::block_on(send_async(&here)).unwrap();
    db.wait_for_no_locks();
}

#[test]
fn processes_share_a_limit() {
    const TEST: &str = "processes_share_a_limit";
    if child::role().is_some() {
        let here = Database::builder(child::argument("URL")).build().unwrap();
        let _permit = sms(&here).acquire().unwrap();
        child::say("held");
        child::wait_for_end();
        return;
    }
    let db = database();
    let mut holders: Vec<_> = (0..3)
        .map(|_| {
            let mut holder = Child::of(TEST, "holder").argument("URL", db.url()).start();
            holder.wait_for_line("held", BOUND);
            holder
        })
        .collect();
    let here = handle(&db);
    assert!(sms(&here).try_acquire().unwrap().is_none());
    holders[0].kill();
    let permit = sms(&here).timeout(BOUND).acquire().unwrap();
    permit.release().unwrap();
}
