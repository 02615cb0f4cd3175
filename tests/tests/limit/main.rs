//! At most so many at once.

mod line;

use std::collections::HashSet;
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

/// While those who have all of them keep the line long: `Skip` and the end of a wait would hide it.
#[test]
fn another_number_is_told_though_somebody_waits() {
    let db = database();
    let [here, there, waiting] = handles(&db, 3).try_into().unwrap();
    let two = |here: &Database| pglock::limit(2, "sms").using(here);
    // Here it was so before, and is known.
    sms(&here).acquire().unwrap().release().unwrap();
    let permits = [
        two(&there).acquire().unwrap(),
        two(&there).acquire().unwrap(),
    ];
    let waiter = background("it gets a permit", move || {
        two(&waiting).acquire().map(|permit| permit.slot())
    });
    wait_until("it is first in line", BOUND, || {
        db.held(pglock::advisory_id("sms")) == 1
    });
    let is_told = |here: &Database| {
        let began = std::time::Instant::now();
        for error in [
            sms(here).try_acquire().unwrap_err(),
            sms(here).timeout(Duration::ZERO).acquire().unwrap_err(),
            sms(here)
                .timeout(Duration::from_millis(400))
                .acquire()
                .unwrap_err(),
        ] {
            assert!(error.is_config(), "{error}");
            let text = error.to_string();
            assert!(text.contains("3 permits here and 2 where pid"), "{text}");
        }
        began.elapsed()
    };
    wait_until("what is known is no longer new", BOUND, || {
        sms(&here).try_acquire().is_err()
    });
    is_told(&here);
    // Who has not looked yet need not wait for that.
    let new = handle(&db);
    let began = std::time::Instant::now();
    let error = sms(&new).timeout(BOUND).acquire().unwrap_err();
    assert!(error.is_config(), "{error}");
    assert!(began.elapsed() < BOUND / 2, "it waited");
    assert!(is_told(&new) < Duration::from_millis(250));
    drop(permits);
    assert!(waiter.finish(BOUND).unwrap().is_some());
    db.wait_for_no_locks();
}

#[test]
fn another_number_is_told_where_all_of_ours_are_taken() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let two = || pglock::limit(2, "sms").using(&here);
    two().acquire().unwrap().release().unwrap();
    let _permits = fill(&there);
    wait_until("what is known is no longer new", BOUND, || {
        two().try_acquire().is_err()
    });
    let error = two().timeout(Duration::ZERO).acquire().unwrap_err();
    assert!(error.is_config(), "{error}");
}

/// Both have looked before either has a permit.
#[test]
fn two_numbers_that_begin_at_once_are_told() {
    let db = database();
    let [stopping, here, there] = handles(&db, 3).try_into().unwrap();
    let stopped = pglock::advisory("sms").using(&stopping).acquire().unwrap();
    let waits = |here: Database, permits: u32, nth: usize| {
        let waiter = background("it is told", move || {
            pglock::limit(permits, "sms").using(&here).acquire()
        });
        wait_until("it stands in line", BOUND, || {
            db.waiting(pglock::advisory_id("sms")) == nth
        });
        waiter
    };
    let (first, second) = (waits(here, 3, 1), waits(there, 5, 2));
    stopped.release().unwrap();
    let ended = [first.finish(BOUND), second.finish(BOUND)];
    let mut errors = ended.iter().filter_map(|ended| ended.as_ref().err());
    assert!(ended.iter().any(Result::is_err), "{ended:?}");
    assert!(errors.all(Error::is_config), "{ended:?}");
}

#[test]
fn that_all_are_taken_is_said_only_where_all_are() {
    let db = database();
    let [here, there] = handles(&db, 2).try_into().unwrap();
    let permits = [
        sms(&there).acquire().unwrap(),
        sms(&there).acquire().unwrap(),
    ];
    let stopped = pglock::advisory("sms").using(&there).acquire().unwrap();
    // Which of the permits is looked at first is left to chance.
    for _ in 0..5 {
        let error = sms(&here).timeout(Duration::ZERO).acquire().unwrap_err();
        let text = error.to_string();
        let begins = "nobody may begin under limit \"sms\": the lock with its name is held";
        assert!(error.is_busy() && text.starts_with(begins), "{text}");
        assert!(text.contains("worker-1"), "{text}");
    }
    drop((permits, stopped));
    db.wait_for_no_locks();
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
