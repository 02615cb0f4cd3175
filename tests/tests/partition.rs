//! A network that goes silent: the old holder knows before there can be a new one.
//!
//! The server and the client are on TCP, with a proxy between them that loses all packets, as a network does, or that
//! hangs, while its kernel goes on to answer. Who gets the lock next asks the server itself.

use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use pglock::{Database, Error};
use pglock_tests::child::{self, Child};
use pglock_tests::{BOUND, Proxy, Server, TestDb, wait_until};

/// The bound of the documentation: 4 s, and time for a loaded machine.
const KNOWN: Duration = Duration::from_secs(7);

/// The bound of the documentation: 15 s after the cut or the grant, and time for a loaded machine.
const FREED: Duration = Duration::from_secs(25);

const RUNS: usize = 3;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::builder().tcp(true).start());

fn through(proxy: &Proxy, db: &TestDb) -> Database {
    Database::builder(proxy.url(db.name())).build().unwrap()
}

/// Several runs beside each other, since each takes as long as the server does.
fn runs(run: impl Fn(usize, &TestDb, &Proxy) + Sync) {
    thread::scope(|scope| {
        for nr in 0..RUNS {
            let run = &run;
            scope.spawn(move || run(nr, &SERVER.create_database(), &Proxy::start_tcp(&SERVER)));
        }
    });
}

/// Takes the lock from the server, without the proxy, as soon as it is free: when that was.
fn next_holder(db: &TestDb, name: &str, bound: Duration) -> Instant {
    let mut client = db.connect();
    let _lock = pglock::advisory(name)
        .timeout(bound)
        .on(&mut client)
        .acquire()
        .unwrap_or_else(|error| panic!("the server has not freed it: {error}"));
    Instant::now()
}

fn when(what: &str, so: impl FnMut() -> bool) -> Instant {
    wait_until(what, FREED, so);
    Instant::now()
}

#[track_caller]
fn assert_order(cut: Instant, known: Instant, freed: Instant) {
    assert!(
        known < freed,
        "freed {:?} before it was known",
        known - freed
    );
    assert!(known - cut < KNOWN, "known after {:?}", known - cut);
    eprintln!("known {:?}, freed {:?}", known - cut, freed - cut);
}

#[test]
fn the_holder_knows_before_the_server_frees() {
    runs(|run, db, proxy| {
        let here = through(proxy, db);
        let lock = pglock::advisory("held").using(&here);
        let check: Box<dyn Fn() -> Result<(), Error>> = if run == 0 {
            let guard = lock.xact().acquire().unwrap();
            Box::new(move || guard.check())
        } else {
            let guard = lock.acquire().unwrap();
            Box::new(move || guard.check())
        };
        thread::scope(|scope| {
            proxy.lose_packets();
            let cut = Instant::now();
            let next = scope.spawn(|| next_holder(db, "held", FREED));
            let known = when("the holder knows", || check().is_err());
            assert!(check().unwrap_err().is_lost());
            assert_order(cut, known, next.join().unwrap());
        });
    });
}

#[test]
fn an_async_body_is_dropped_before_the_server_frees() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        thread::scope(|scope| {
            let mut cut = None;
            let result =
                pollster::block_on(pglock::advisory("body").using(&here).run_async(async {
                    proxy.lose_packets();
                    let next = scope.spawn(|| next_holder(db, "body", FREED));
                    cut = Some((Instant::now(), next));
                    std::future::pending::<Result<(), Error>>().await
                }));
            let known = Instant::now();
            assert!(result.unwrap_err().is_lost());
            let (cut, next) = cut.unwrap();
            assert_order(cut, known, next.join().unwrap());
        });
    });
}

#[test]
fn a_release_into_the_dark_is_lost_before_the_server_frees() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        let guard = pglock::advisory("release").using(&here).acquire().unwrap();
        thread::scope(|scope| {
            proxy.lose_packets();
            let cut = Instant::now();
            let next = scope.spawn(|| next_holder(db, "release", FREED));
            let error = guard.release().unwrap_err();
            assert!(error.is_lost(), "{error}");
            assert_order(cut, Instant::now(), next.join().unwrap());
        });
    });
}

#[test]
fn a_waiter_gets_connect_and_leaves_the_servers_queue() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        let mut client = db.connect();
        let _holder = pglock::advisory("wait").on(&mut client).acquire().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pglock::advisory("wait").using(&here).acquire());
            db.wait_for_waiters(1);
            proxy.lose_packets();
            let cut = Instant::now();
            let error = waiter.join().unwrap().unwrap_err();
            assert!(cut.elapsed() < KNOWN, "known after {:?}", cut.elapsed());
            assert!(error.is_connect(), "{error}");
            wait_until("the server's waiter is gone", FREED, || {
                db.blocked_pids().is_empty()
            });
        });
    });
}

#[test]
fn a_lock_that_is_granted_in_the_dark_is_nobodys() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        let mut client = db.connect();
        let holder = pglock::advisory("dark").on(&mut client).acquire().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let result = pglock::advisory("dark").using(&here).acquire();
                (result, Instant::now())
            });
            db.wait_for_waiters(1);
            proxy.lose_packets();
            let cut = Instant::now();
            holder.release().unwrap();
            wait_until("it is granted in the dark", BOUND, || {
                db.held(pglock::advisory_id("dark")) == 1
            });
            let next = scope.spawn(|| next_holder(db, "dark", FREED));
            let (result, known) = waiter.join().unwrap();
            let error = result.unwrap_err();
            assert!(error.is_connect(), "{error}");
            assert_order(cut, known, next.join().unwrap());
        });
    });
}

/// The session of the outer lock waits for the inner one: it can't be asked.
#[test]
fn who_waits_with_a_lock_knows_before_the_server_frees_that() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        let mut client = db.connect();
        let _inner = pglock::advisory("inner").on(&mut client).acquire().unwrap();
        thread::scope(|scope| {
            let outer = scope.spawn(|| {
                let mut known = None;
                let result = pglock::advisory("outer")
                    .using(&here)
                    .run(|| -> Result<(), Error> {
                        let inner = pglock::advisory("inner").using(&here).run(|| Ok(()));
                        known = Some(Instant::now());
                        inner
                    });
                (result, known.unwrap())
            });
            db.wait_for_waiters(1);
            proxy.lose_packets();
            let cut = Instant::now();
            let next = scope.spawn(|| next_holder(db, "outer", FREED));
            let (result, known) = outer.join().unwrap();
            assert!(result.unwrap_err().is_connect());
            assert_order(cut, known, next.join().unwrap());
        });
    });
}

/// A proxy or a pooler that hangs: its kernel answers for it, so keepalives see nothing, and only a lease frees.
#[test]
fn a_proxy_that_hangs_is_noticed_and_the_lease_frees() {
    runs(|_, db, proxy| {
        let here = Database::builder(proxy.url(db.name()))
            .lease(Duration::from_secs(8))
            .build()
            .unwrap();
        let guard = pglock::advisory("hangs").using(&here).acquire().unwrap();
        let mut client = db.connect();
        let _other = pglock::advisory("other").on(&mut client).acquire().unwrap();
        thread::scope(|scope| {
            let waiter = scope.spawn(|| pglock::advisory("other").using(&here).acquire());
            db.wait_for_waiters(1);
            proxy.stop_forwarding();
            let cut = Instant::now();
            let next = scope.spawn(|| next_holder(db, "hangs", FREED));
            let known = when("the holder knows", || guard.check().is_err());
            assert_order(cut, known, next.join().unwrap());
            // Asked by a session beside: its own is in the middle of the wait.
            let error = waiter.join().unwrap().unwrap_err();
            assert!(error.is_connect(), "{error}");
            proxy.resume();
        });
    });
}

#[test]
fn a_server_that_is_busy_for_a_second_loses_nothing() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        let guard = pglock::advisory("busy").using(&here).acquire().unwrap();
        for _ in 0..2 {
            let before = proxy.round_trips();
            proxy.stop_forwarding();
            // What is measured is that this long a silence is borne.
            thread::sleep(Duration::from_millis(1500));
            guard.check().unwrap();
            proxy.resume();
            wait_until("it was asked again", BOUND, || {
                proxy.round_trips() >= before + 2
            });
            guard.check().unwrap();
        }
        guard.release().unwrap();
    });
}

#[test]
fn a_held_lock_costs_a_statement_a_second_and_an_idle_session_none() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        let guard = pglock::advisory("cost").using(&here).acquire().unwrap();
        let before = proxy.round_trips();
        let began = Instant::now();
        wait_until("it is asked", BOUND, || proxy.round_trips() >= before + 3);
        assert!(
            began.elapsed() >= Duration::from_millis(2900),
            "asked too often"
        );
        guard.release().unwrap();
        let before = proxy.round_trips();
        // An idle session is given the time for three questions.
        thread::sleep(Duration::from_secs(3));
        assert_eq!(proxy.round_trips(), before, "an idle session was asked");
    });
}

/// A child that holds the lock, frozen: what it says when it is asked afterwards.
fn frozen(test: &str, lease: u64, freeze: impl Fn(&TestDb, &Child)) {
    if child::role().is_some() {
        let here = Database::builder(child::argument("URL"))
            .lease(Duration::from_secs(
                child::argument("LEASE").parse().unwrap(),
            ))
            .build()
            .unwrap();
        let guard = pglock::advisory("frozen").using(&here).acquire().unwrap();
        child::say("got");
        while let Some(word) = child::hear() {
            let lost = || guard.check().is_err_and(|error| error.is_lost());
            match word.as_str() {
                "lost" => wait_until("the thawed holder knows", BOUND, lost),
                _ => assert!(!lost(), "a false loss"),
            }
            child::say("checked");
        }
        return;
    }
    let db = SERVER.create_database();
    let mut holder = Child::of(test, "holder")
        .argument("URL", SERVER.tcp_url(db.name()))
        .argument("LEASE", lease.to_string())
        .start();
    holder.wait_for_line("got", BOUND);
    holder.freeze();
    freeze(&db, &holder);
    holder.thaw();
    let held = db.held(pglock::advisory_id("frozen")) == 1;
    holder.send_line(if held { "held" } else { "lost" });
    holder.wait_for_line("checked", BOUND);
    holder.finish(BOUND);
}

#[test]
fn a_frozen_client_loses_its_lease_and_learns_of_it_when_thawed() {
    let test = "a_frozen_client_loses_its_lease_and_learns_of_it_when_thawed";
    frozen(test, 8, |db, _| {
        let began = Instant::now();
        next_holder(db, "frozen", FREED);
        assert!(
            began.elapsed() > Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn a_client_that_is_frozen_for_longer_than_the_heartbeat_keeps_its_lock() {
    let test = "a_client_that_is_frozen_for_longer_than_the_heartbeat_keeps_its_lock";
    frozen(test, 120, |db, _| {
        thread::sleep(Duration::from_secs(6));
        assert_eq!(db.held(pglock::advisory_id("frozen")), 1);
    });
}
