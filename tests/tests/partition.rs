//! A network that goes silent: the old holder knows before there can be a new one.
//!
//! The server and the client are on TCP, with a proxy between them that loses all packets, as a network does, or that
//! hangs, while its kernel goes on to answer. Who gets the lock next asks the server itself.

use std::sync::{Arc, LazyLock, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use pglock::{Advisory, Database, Error, Guard};
use pglock_tests::child::{self, Child};
use pglock_tests::{BOUND, Background, Proxy, Server, TestDb, background, wait_until};

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

/// Who takes the lock from the server, without the proxy, as soon as it is free: when that was. In that moment the old
/// holder knows.
fn next_holder(
    db: &TestDb,
    name: &'static str,
    old_knows: impl Fn() -> bool + Send + 'static,
) -> Background<Instant> {
    let mut client = db.connect();
    background("the next holder has it", move || {
        let _lock = pglock::advisory(name)
            .timeout(FREED)
            .on(&mut client)
            .acquire()
            .unwrap_or_else(|error| panic!("the server has not freed it: {error}"));
        let freed = Instant::now();
        assert!(old_knows(), "freed before the old holder knew");
        freed
    })
}

fn when(what: &str, so: impl FnMut() -> bool) -> Instant {
    wait_until(what, FREED, so);
    Instant::now()
}

/// Work whose result is asked for, with the time when it came.
fn timed<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Background<(T, Instant)> {
    background(what, move || (work(), Instant::now()))
}

/// A call that waits for the lock, and is to hear of the silence.
fn waiter(lock: Advisory) -> Background<(Result<Guard, Error>, Instant)> {
    timed("the waiter hears of it", move || lock.acquire())
}

#[track_caller]
fn assert_known(cut: Instant, known: Instant) {
    assert!(known - cut < KNOWN, "known after {:?}", known - cut);
}

#[track_caller]
fn assert_order(cut: Instant, known: Instant, next: Background<Instant>) {
    let freed = next.finish(FREED + BOUND);
    assert!(
        known < freed,
        "freed {:?} before it was known",
        known - freed
    );
    assert_known(cut, known);
    eprintln!("known {:?}, freed {:?}", known - cut, freed - cut);
}

fn is_lost(guard: &Guard) -> bool {
    guard.check().is_err_and(|error| error.is_lost())
}

fn acquire(name: &'static str, xact: bool, here: &Database) -> Guard {
    let lock = pglock::advisory(name).using(here);
    if xact {
        lock.xact().acquire().unwrap()
    } else {
        lock.acquire().unwrap()
    }
}

#[test]
fn the_holder_knows_before_the_server_frees() {
    runs(|run, db, proxy| {
        let guard = Arc::new(acquire("held", run == 0, &through(proxy, db)));
        proxy.lose_packets();
        let cut = Instant::now();
        let old = Arc::clone(&guard);
        let next = next_holder(db, "held", move || is_lost(&old));
        let known = when("the holder knows", || guard.check().is_err());
        assert!(is_lost(&guard));
        assert_order(cut, known, next);
    });
}

/// As a network that is silent in one direction: the server hears of the end of the session at once.
#[test]
fn the_holder_knows_before_the_server_hears_that_it_gave_up() {
    runs(|run, db, proxy| {
        let guard = Arc::new(acquire("one way", run == 0, &through(proxy, db)));
        proxy.stop_answers();
        let cut = Instant::now();
        let old = Arc::clone(&guard);
        let next = next_holder(db, "one way", move || is_lost(&old));
        let freed = next.finish(FREED + BOUND);
        assert!(freed - cut < KNOWN, "freed after {:?}", freed - cut);
    });
}

/// Runs an async body that never ends, until it is dropped because of the silence, on an executor that is busy with
/// others for up to 0.1 s.
fn drop_a_body(db: &TestDb, proxy: &Proxy, name: &'static str, silence: impl FnOnce()) {
    struct Note(Arc<OnceLock<Instant>>);

    impl Drop for Note {
        fn drop(&mut self) {
            self.0.set(Instant::now()).unwrap();
        }
    }

    let dropped = Arc::<OnceLock<Instant>>::default();
    let note = Note(Arc::clone(&dropped));
    let (sender, begins) = mpsc::channel();
    let lock = pglock::advisory(name).using(through(proxy, db));
    let body = async move {
        let _note = note;
        sender.send(()).unwrap();
        std::future::pending::<Result<(), Error>>().await
    };
    let others = async {
        loop {
            thread::sleep(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    let call = background("the call ends", move || {
        let executor = tokio::runtime::Builder::new_current_thread().build();
        executor.unwrap().block_on(async {
            tokio::select! {
                biased;
                result = lock.run_async(body) => result,
                () = others => unreachable!("it has no end"),
            }
        })
    });
    begins.recv_timeout(BOUND).expect("the body begins");
    silence();
    let cut = Instant::now();
    let known = Arc::clone(&dropped);
    let next = next_holder(db, name, move || known.get().is_some());
    let result = call.finish(FREED);
    assert!(result.unwrap_err().is_lost());
    assert_order(cut, *dropped.get().unwrap(), next);
}

#[test]
fn an_async_body_is_dropped_before_the_server_frees() {
    runs(|_, db, proxy| drop_a_body(db, proxy, "body", || proxy.lose_packets()));
}

#[test]
fn an_async_body_is_dropped_before_the_server_hears_that_its_call_ended() {
    runs(|_, db, proxy| drop_a_body(db, proxy, "one way", || proxy.stop_answers()));
}

#[test]
fn a_release_into_the_dark_is_lost_before_the_server_frees() {
    runs(|_, db, proxy| {
        let lock = pglock::advisory("release").using(through(proxy, db));
        let guard = lock.acquire().unwrap();
        proxy.lose_packets();
        let cut = Instant::now();
        let next = next_holder(db, "release", || true);
        let release = timed("the release is answered", || guard.release());
        let (result, known) = release.finish(FREED);
        let error = result.unwrap_err();
        assert!(error.is_lost(), "{error}");
        assert_order(cut, known, next);
    });
}

#[test]
fn a_waiter_gets_connect_and_leaves_the_servers_queue() {
    runs(|_, db, proxy| {
        let mut client = db.connect();
        let _holder = pglock::advisory("wait").on(&mut client).acquire().unwrap();
        let waiter = waiter(pglock::advisory("wait").using(through(proxy, db)));
        db.wait_for_waiters(1);
        proxy.lose_packets();
        let cut = Instant::now();
        let (result, known) = waiter.finish(FREED);
        let error = result.unwrap_err();
        assert!(error.is_connect(), "{error}");
        assert_known(cut, known);
        wait_until("the server's waiter is gone", FREED, || {
            db.blocked_pids().is_empty()
        });
    });
}

#[test]
fn a_lock_that_is_granted_in_the_dark_is_nobodys() {
    runs(|_, db, proxy| {
        let mut client = db.connect();
        let holder = pglock::advisory("dark").on(&mut client).acquire().unwrap();
        let waiter = waiter(pglock::advisory("dark").using(through(proxy, db)));
        db.wait_for_waiters(1);
        proxy.lose_packets();
        let cut = Instant::now();
        holder.release().unwrap();
        wait_until("it is granted in the dark", BOUND, || {
            db.held(pglock::advisory_id("dark")) == 1
        });
        let next = next_holder(db, "dark", || true);
        let (result, known) = waiter.finish(FREED);
        let error = result.unwrap_err();
        assert!(error.is_connect(), "{error}");
        assert_order(cut, known, next);
    });
}

/// The session of the outer lock waits for the inner one: it can't be asked.
#[test]
fn who_waits_with_a_lock_knows_before_the_server_frees_that() {
    runs(|_, db, proxy| {
        let here = through(proxy, db);
        let mut client = db.connect();
        let _inner = pglock::advisory("inner").on(&mut client).acquire().unwrap();
        let outer = background("the outer call ends", move || {
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
        let next = next_holder(db, "outer", || true);
        let (result, known) = outer.finish(FREED);
        assert!(result.unwrap_err().is_connect());
        assert_order(cut, known, next);
    });
}

fn with_lease(url: String, lease: Duration) -> Database {
    Database::builder(url).lease(lease).build().unwrap()
}

/// A proxy or a pooler that hangs: its kernel answers for it, so keepalives see nothing, and only a lease frees.
#[test]
fn a_proxy_that_hangs_is_noticed_and_the_lease_frees() {
    runs(|_, db, proxy| {
        let here = with_lease(proxy.url(db.name()), Duration::from_secs(8));
        let guard = Arc::new(pglock::advisory("hangs").using(&here).acquire().unwrap());
        let (mut other, mut client) = (db.connect(), db.connect());
        let _other = pglock::advisory("other").on(&mut other).acquire().unwrap();
        let waiter = waiter(pglock::advisory("other").using(&here));
        db.wait_for_waiters(1);
        wait_until("a session beside it has been asked", BOUND, || {
            let asked = "SELECT FROM pg_stat_activity WHERE datname = current_database() \
                AND application_name LIKE 'pglock: %@%' AND (query = '' OR query LIKE '%virtualxid%') AND query_start IS NOT NULL";
            !client.query(asked, &[]).unwrap().is_empty()
        });
        proxy.stop_forwarding();
        let cut = Instant::now();
        let old = Arc::clone(&guard);
        let next = next_holder(db, "hangs", move || is_lost(&old));
        let known = when("the holder knows", || guard.check().is_err());
        // Asked by a session beside: its own is in the middle of the wait.
        let (result, told) = waiter.finish(FREED);
        let error = result.unwrap_err();
        assert!(error.is_connect(), "{error}");
        assert_known(cut, told);
        assert_order(cut, known, next);
    });
}

#[test]
fn a_lease_is_renewed_for_as_long_as_its_holder_runs() {
    runs(|_, db, _| {
        let here = Database::builder(SERVER.tcp_url(db.name()))
            .heartbeat(Duration::from_secs(1))
            .lease(Duration::from_secs(2))
            .build()
            .unwrap();
        let guard = pglock::advisory("renewed").using(&here).acquire().unwrap();
        // What is measured is that it is held for longer than the lease.
        thread::sleep(Duration::from_secs(5));
        guard.release().unwrap();
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
        let began = Instant::now();
        let guard = pglock::advisory("cost").using(&here).acquire().unwrap();
        let before = proxy.round_trips();
        // Once to name its lock soon, and then each second.
        wait_until("it is asked", BOUND, || proxy.round_trips() >= before + 4);
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
fn frozen(test: &str, lease: u64, freeze: impl Fn(&TestDb, &Proxy, &Child)) {
    if child::role().is_some() {
        let lease = Duration::from_secs(child::argument("LEASE").parse().unwrap());
        let here = with_lease(child::argument("URL"), lease);
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
    let (db, proxy) = (SERVER.create_database(), Proxy::start_tcp(&SERVER));
    let mut holder = Child::of(test, "holder")
        .argument("URL", proxy.url(db.name()))
        .argument("LEASE", lease.to_string())
        .start();
    holder.wait_for_line("got", BOUND);
    freeze(&db, &proxy, &holder);
    let before = proxy.round_trips();
    holder.thaw();
    if db.held(pglock::advisory_id("frozen")) == 1 {
        wait_until("it asks again", BOUND, || proxy.round_trips() > before + 1);
        holder.send_line("held");
    } else {
        holder.send_line("lost");
    }
    holder.wait_for_line("checked", BOUND);
    holder.finish(BOUND);
}

#[test]
fn a_frozen_client_loses_its_lease_and_learns_of_it_when_thawed() {
    let test = "a_frozen_client_loses_its_lease_and_learns_of_it_when_thawed";
    frozen(test, 8, |db, _, holder| {
        holder.freeze();
        let began = Instant::now();
        let freed = next_holder(db, "frozen", || true).finish(FREED + BOUND);
        let after = freed - began;
        assert!(after > Duration::from_secs(4), "freed after {after:?}");
    });
}

/// It is stopped while it waits for an answer, which comes meanwhile.
#[test]
fn a_client_that_is_frozen_for_longer_than_the_heartbeat_keeps_its_lock() {
    let test = "a_client_that_is_frozen_for_longer_than_the_heartbeat_keeps_its_lock";
    frozen(test, 120, |db, proxy, holder| {
        let mut client = db.connect();
        let mut asked = || -> f64 {
            let asked = "SELECT max(extract(epoch FROM query_start))::float8 FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'pglock: %@%'";
            client.query_one(asked, &[]).unwrap().get(0)
        };
        // Its next question is a heartbeat then.
        wait_until("it has said what it holds", BOUND, || {
            let holder = db.advisory_locks()[0].pid;
            db.statement_of(holder).contains(" held ")
        });
        let before = asked();
        proxy.stop_answers();
        wait_until("it asks", BOUND, || asked() > before);
        holder.freeze();
        proxy.resume();
        thread::sleep(Duration::from_secs(6));
        assert_eq!(db.held(pglock::advisory_id("frozen")), 1);
    });
}
