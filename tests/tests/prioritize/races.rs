//! What changes between a poll and its signal, and while a signal is under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use pglock::{Blocked, Database, ErrorKind, PrioritizeSideEffect, Terminate};
use pglock_tests::{BOUND, Proxy, Server, TestDb, database, wait_until};

use crate::side_effects::Do;
use crate::{Blocker, INTERVAL, ONE_POLL, here, is_alive, prioritize};

/// A side effect that terminates the blockers on command. The receivers get the waiting sessions when it is called, and the
/// sessions that it signaled.
fn terminate_on_command() -> (
    impl PrioritizeSideEffect,
    mpsc::Receiver<Vec<i32>>,
    mpsc::Sender<()>,
    mpsc::Receiver<Vec<i32>>,
) {
    let (called, was_called) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    let (signaled, was_signaled) = mpsc::channel();
    let may_go = Mutex::new(may_go);
    let side_effect = Do(move |blocked: &mut Blocked<'_>| {
        let _ = called.send(blocked.pids());
        let _ = may_go.lock().unwrap().recv_timeout(3 * BOUND);
        let pids = Terminate.worker(blocked)?;
        let _ = signaled.send(pids.clone());
        Ok(pids)
    });
    (side_effect, was_called, go, was_signaled)
}

/// A server of its own whose watcher goes through a proxy.
fn through_proxy() -> (Server, TestDb, Proxy, Database) {
    let server = Server::start();
    let db = server.create_database();
    let proxy = Proxy::start(&server);
    let watcher = Database::builder(proxy.url(db.name())).build().unwrap();
    (server, db, proxy, watcher)
}

#[test]
fn nothing_is_signaled_for_an_own_session_whose_wait_is_over() {
    let db = database();
    let database = here(&db);
    let _blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let mut bystander = Blocker::new(&db, "SELECT pg_advisory_lock(2)");
    let (side_effect, was_called, go, was_signaled) = terminate_on_command();
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .interval(ONE_POLL)
        .periodic(false)
        .side_effect(side_effect)
        .on(&mut client)
        .unwrap();
    section.run(|_| {
        let lock = pglock::advisory(1)
            .using(&database)
            .timeout(ONE_POLL + 8 * INTERVAL);
        assert!(lock.acquire().unwrap_err().is_busy());
    });
    let pids = was_called.recv_timeout(BOUND).unwrap();
    std::thread::scope(|scope| {
        let unrelated = scope.spawn(|| {
            // In a section of its own, which looks too late to matter: its wait has a session of its own, like the other.
            let mut client = db.connect();
            let mut section = prioritize(&db).interval(2 * BOUND).on(&mut client).unwrap();
            section.run(|_| {
                let lock = pglock::advisory(2).using(&database).timeout(BOUND);
                lock.acquire().map(drop)
            })
        });
        wait_until("the same session waits again", BOUND, || {
            db.blocked_pids() == pids
        });
        go.send(()).unwrap();
        assert!(was_signaled.recv_timeout(BOUND).unwrap().is_empty());
        assert!(bystander.is_alive());
        bystander.execute("SELECT pg_advisory_unlock(2)").unwrap();
        unrelated.join().unwrap().unwrap();
    });
    section.finish().unwrap();
}

#[test]
fn a_wait_ends_only_after_the_signal_for_it() {
    // Its session would wait for something else, and the signal would be for that.
    let (_server, db, proxy, watcher) = through_proxy();
    let database = here(&db);
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (side_effect, was_called, go, _was_hit) = terminate_on_command();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut client = db.connect();
            let mut section = pglock::prioritize()
                .interval(ONE_POLL)
                .periodic(false)
                .side_effect(side_effect)
                .using(&watcher)
                .on(&mut client)
                .unwrap();
            section.run(|_| {
                let lock = pglock::advisory(1).using(&database).timeout(BOUND);
                let guard = lock.acquire().unwrap();
                let acquired = Instant::now();
                guard.release().unwrap();
                acquired
            })
        });
        was_called.recv_timeout(BOUND).unwrap();
        proxy.stop_answers();
        go.send(()).unwrap();
        wait_until("it is ended", BOUND, || !is_alive(&db, blocker.pid));
        wait_until("the lock is held in the server", BOUND, || {
            db.waiting(1) == 0 && db.held(1) == 1
        });
        for _ in 0..20 {
            let lock = pglock::advisory(3).using(&database);
            lock.acquire().unwrap().release().unwrap();
        }
        let resumed = Instant::now();
        proxy.resume();
        assert!(waiter.join().unwrap() >= resumed);
    });
}

#[test]
fn a_signal_whose_answer_is_lost_is_an_error_and_not_sent_again() {
    let (_server, db, proxy, watcher) = through_proxy();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (side_effect, was_called, go, _was_hit) = terminate_on_command();
    std::thread::scope(|scope| {
        let section = scope.spawn(|| {
            let mut client = db.connect();
            let mut section = pglock::prioritize()
                .interval(ONE_POLL)
                .periodic(false)
                .side_effect(side_effect)
                .using(&watcher)
                .on(&mut client)
                .unwrap();
            section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
            section.finish()
        });
        was_called.recv_timeout(BOUND).unwrap();
        proxy.stop_answers();
        go.send(()).unwrap();
        wait_until("it is ended", BOUND, || !is_alive(&db, blocker.pid));
        proxy.close_all();
        proxy.resume();
        let error = section.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    });
}

#[test]
fn a_side_effect_that_is_called_again_is_waited_for_again() {
    let db = database();
    let _blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let calls = AtomicUsize::new(0);
    let (called, was_called) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let side_effect = Do(move |_: &mut Blocked<'_>| {
        if calls.fetch_add(1, Ordering::Relaxed) > 0 {
            let _ = called.send(());
            let _ = may_go.lock().unwrap().recv_timeout(3 * BOUND);
        }
        Ok(Vec::new())
    });
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(side_effect)
        .timeout(6 * INTERVAL)
        .on(&mut client)
        .unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    was_called.recv_timeout(BOUND).unwrap();
    assert!(section.finish().unwrap().side_effect_unfinished());
    drop(go);
}

#[test]
fn a_signal_without_an_answer_is_given_up_with_an_error() {
    let (_server, db, proxy, watcher) = through_proxy();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (side_effect, was_called, go, _was_hit) = terminate_on_command();
    std::thread::scope(|scope| {
        let section = scope.spawn(|| {
            let mut client = db.connect();
            let mut section = pglock::prioritize()
                .interval(ONE_POLL)
                .periodic(false)
                .side_effect(side_effect)
                .using(&watcher)
                .on(&mut client)
                .unwrap();
            section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
            section.finish()
        });
        was_called.recv_timeout(BOUND).unwrap();
        proxy.stop_answers();
        go.send(()).unwrap();
        wait_until("it is ended", BOUND, || !is_alive(&db, blocker.pid));
        let error = section.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
        assert!(error.to_string().contains("watcher"), "{error}");
        proxy.resume();
    });
}

#[test]
fn nothing_is_signaled_for_a_section_that_ended_while_the_watcher_connected() {
    let (_server, db, proxy, watcher) = through_proxy();
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    let (side_effect, was_called, go, was_signaled) = terminate_on_command();
    let mut client = db.connect();
    let mut section = pglock::prioritize()
        .interval(ONE_POLL)
        .periodic(false)
        .side_effect(side_effect)
        .timeout(ONE_POLL + 8 * INTERVAL)
        .using(&watcher)
        .on(&mut client)
        .unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    was_called.recv_timeout(BOUND).unwrap();
    let connections = proxy.connections();
    proxy.close_all();
    proxy.stop_forwarding();
    go.send(()).unwrap();
    wait_until("the watcher connects", BOUND, || {
        proxy.connections() > connections
    });
    assert!(section.finish().unwrap().side_effect_unfinished());
    std::thread::scope(|scope| {
        // It waits again, and no side effect is called for it.
        let waits = scope.spawn(|| {
            client.batch_execute("SET lock_timeout = '3s'").unwrap();
            client
                .batch_execute("SELECT pg_advisory_lock(1)")
                .unwrap_err();
        });
        wait_until("it waits", BOUND, || db.waiting(1) == 1);
        proxy.resume();
        assert!(was_signaled.recv_timeout(BOUND).unwrap().is_empty());
        waits.join().unwrap();
    });
    assert!(blocker.is_alive());
}
