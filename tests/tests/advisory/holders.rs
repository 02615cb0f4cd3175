//! Who has a lock, and since when.

use std::time::Duration;

use pglock::{Database, LockId};
use pglock_tests::{BOUND, database, wait_until};

use crate::{another_handle, handle};

#[test]
fn the_holder_of_the_same_key_in_another_database_is_not_named() {
    let (db, other) = (database(), database());
    let (mut here, mut elsewhere) = (db.connect_as("here"), other.connect_as("elsewhere"));
    // Who keeps everybody out is named before who shares.
    let _held_there = pglock::advisory("same").on(&mut elsewhere).acquire();
    let _held_here = pglock::advisory("same").shared().on(&mut here).acquire();
    let busy = pglock::advisory("same")
        .using(handle(&db))
        .timeout(Duration::ZERO)
        .acquire()
        .unwrap_err();
    assert_eq!(busy.holder().unwrap().application_name, "here");
}

#[test]
fn a_holder_without_a_name_is_known_by_its_program_and_host() {
    let db = database();
    let here = handle(&db);
    let guard = pglock::advisory("named").using(&here).acquire().unwrap();
    let lock = pglock::advisory("named").using(another_handle(&db));
    let busy = lock.timeout(Duration::ZERO).acquire().unwrap_err();
    let name = &busy.holder().unwrap().application_name;
    // The binary of these tests is called `advisory-` and a hash.
    assert!(name.starts_with("pglock: advisory-"), "{name}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let (_, shown) = name.split_once('@').expect("a host");
    assert!(host.trim().contains(shown) && !shown.is_empty(), "{name}");
    guard.release().unwrap();
}

#[test]
fn since_when_a_lock_is_held_is_known_after_heartbeats_too() {
    let db = database();
    let beats = Database::builder(db.url())
        .heartbeat(Duration::from_secs(1))
        .build()
        .unwrap();
    let other = Database::builder(db.url())
        .application_name("other")
        .build()
        .unwrap();
    for id in [LockId::from("since"), (-1, 2).into(), (-3).into()] {
        let lock = pglock::advisory(id);
        let holder_now = || {
            let error = lock
                .clone()
                .using(&other)
                .timeout(Duration::ZERO)
                .acquire()
                .unwrap_err();
            (error.holder().unwrap().clone(), error.to_string())
        };
        let guard = lock.clone().using(&beats).acquire().unwrap();
        // Soon after it was acquired, its session says so, and again in each heartbeat.
        wait_until("it is known", BOUND, || holder_now().0.since.is_some());
        let (before, _) = holder_now();
        wait_until("a heartbeat", BOUND, || {
            holder_now().0.query != before.query
        });
        let (after, text) = holder_now();
        let (since, still) = (before.since.unwrap(), after.since.unwrap());
        let apart = still
            .duration_since(since)
            .unwrap_or_else(|earlier| earlier.duration());
        assert!(apart < Duration::from_millis(200), "{apart:?}");
        assert!(after.held_for.unwrap() >= Duration::from_millis(200));
        assert!(text.contains(": held for "), "{text}");
        guard.release().unwrap();
    }
}
