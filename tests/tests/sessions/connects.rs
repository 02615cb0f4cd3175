//! Connecting for many callers at once.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use pglock::{Advisory, Database};
use pglock_tests::{BOUND, OWN, Proxy, background, wait_until};

use crate::SERVER;

/// How long each of as many callers takes to hear that a server which never answers cannot be reached.
fn hear_of_a_silent_server(lock_of: impl Fn(usize) -> Advisory) -> Vec<Duration> {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let url = format!("postgres://app@{address}/app?connect_timeout=1");
    let here = Database::builder(url).build().unwrap();
    let began = Instant::now();
    let callers: Vec<_> = (0..12)
        .map(|nr| {
            let lock = lock_of(nr).using(&here);
            background("it hears of it", move || (lock.acquire(), began.elapsed()))
        })
        .collect();
    let heard = callers.into_iter().map(|caller| {
        let (result, after) = caller.finish(2 * BOUND);
        let error = result.unwrap_err();
        assert!(error.is_connect(), "{error}");
        assert!(error.to_string().contains("within 1 s"), "{error}");
        after
    });
    heard.collect()
}

#[test]
fn callers_of_one_lock_share_the_failure_to_connect() {
    for after in hear_of_a_silent_server(|_| pglock::advisory("one")) {
        assert!(after < Duration::from_millis(1900), "heard after {after:?}");
    }
}

#[test]
fn callers_of_many_locks_share_the_failure_to_connect() {
    for after in hear_of_a_silent_server(|nr| pglock::advisory(format!("lock {nr}"))) {
        assert!(after < Duration::from_millis(1900), "heard after {after:?}");
    }
}

#[test]
fn so_do_callers_that_need_sessions_of_their_own() {
    for after in hear_of_a_silent_server(|nr| pglock::advisory(format!("lock {nr}")).dedicated()) {
        assert!(after < Duration::from_millis(1900), "heard after {after:?}");
    }
}

#[test]
fn so_do_callers_of_one_lock_with_sessions_of_their_own() {
    for after in hear_of_a_silent_server(|_| pglock::advisory("one").dedicated()) {
        assert!(after < Duration::from_millis(1900), "heard after {after:?}");
    }
}

#[test]
fn a_failure_is_reported_in_the_words_of_each_callers_lock() {
    let here = Database::builder("postgres://app@127.0.0.1:1/app")
        .build()
        .unwrap();
    for name in ["first", "second"] {
        let error = pglock::advisory(name).using(&here).acquire().unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn four_connects_at_a_time_and_no_more() {
    let (db, proxy) = (SERVER.create_database(), Proxy::start(&SERVER));
    let here = Database::builder(proxy.url(db.name()));
    let here = here.max_sessions(100).build().unwrap();
    proxy.stop_forwarding();
    let callers: Vec<_> = (0..20)
        .map(|nr| {
            // Each needs a session of its own.
            let lock = pglock::advisory(format!("lock {nr}")).using(&here).xact();
            background("it has its lock", move || lock.acquire().unwrap())
        })
        .collect();
    wait_until("four connect", BOUND, || proxy.connections() == 4);
    // What is measured is that there are no more.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(proxy.connections(), 4);
    proxy.resume();
    let guards: Vec<_> = callers.into_iter().map(|it| it.finish(BOUND)).collect();
    assert_eq!(proxy.connections(), guards.len());
}

#[test]
fn as_many_idle_sessions_are_kept_as_were_busy_a_moment_ago() {
    let (db, proxy) = (SERVER.create_database(), Proxy::start(&SERVER));
    let here = Database::builder(proxy.url(db.name()));
    let here = here.max_sessions(100).build().unwrap();
    for _ in 0..3 {
        let acquire = |nr| {
            pglock::advisory(format!("lock {nr}"))
                .using(&here)
                .xact()
                .acquire()
        };
        let guards: Vec<_> = (0..24).map(|nr| acquire(nr).unwrap()).collect();
        for guard in guards {
            guard.release().unwrap();
        }
    }
    assert_eq!(proxy.connections(), 24);
    wait_until("only a few are kept", 2 * BOUND, || {
        db.backends_named(OWN).len() == 8
    });
}
