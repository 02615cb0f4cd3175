//! Runtimes that come and go, blocking calls inside one, other executors, forks, and what a call costs.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fork::Fork;
use pglock::{Database, Error};
use pglock_tests::{
    BOUND, Child, Proxy, TestDb, child, database, server, server_is_ours, wait_until,
};
use rustix::process::{Pid, Signal, kill_process};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

#[pglock::advisory("shared by runtimes", using = here, timeout = "20s")]
async fn async_job(here: &Database) -> Result<u32, Error> {
    tokio::task::yield_now().await;
    Ok(1)
}

#[pglock::advisory("shared by runtimes", using = here, timeout = "20s")]
fn blocking_job(here: &Database) -> Result<u32, Error> {
    pglock::check()?;
    Ok(2)
}

async fn use_both(db: &TestDb) {
    let here = handle(db);
    assert_eq!(async_job(&here).await.unwrap(), 1);
    assert_eq!(blocking_job(&here).unwrap(), 2);
    let (one, two) = tokio::join!(async_job(&here), async_job(&here));
    assert_eq!(one.unwrap() + two.unwrap(), 2);
    db.wait_for_no_locks();
}

#[tokio::test]
async fn a_first_runtime() {
    use_both(&database()).await;
}

#[tokio::test]
async fn a_second_runtime() {
    use_both(&database()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_third_runtime() {
    let db = database();
    use_both(&db).await;
    let here = handle(&db);
    assert_eq!(
        tokio::spawn(async move { async_job(&here).await })
            .await
            .unwrap()
            .unwrap(),
        1
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_runtime() {
    use_both(&database()).await;
}

#[test]
fn a_guard_outlives_the_runtime_it_was_acquired_in() {
    let db = database();
    let here = handle(&db);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let guard = runtime
        .block_on(pglock::advisory("outlives").using(&here).acquire_async())
        .unwrap();
    drop(runtime);
    assert_eq!(db.held(pglock::advisory_id("outlives")), 1);
    guard.check().unwrap();
    guard.release().unwrap();
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn another_executor_will_do() {
    let db = database();
    let here = handle(&db);
    let job = pglock::advisory("executor").using(&here).run_async(async {
        pglock::advisory("inner")
            .using(&here)
            .run_async(async { Ok::<_, Error>(3) })
            .await
    });
    assert_eq!(pollster::block_on(job).unwrap(), 3);
    assert!(db.advisory_locks().is_empty());
}

#[test]
fn a_guard_can_be_sent_and_shared() {
    fn assert_send_sync<T: Send + Sync + 'static>(_: &T) {}

    let db = database();
    let guard = pglock::advisory("sent")
        .using(handle(&db))
        .acquire()
        .unwrap();
    assert_send_sync(&guard);
    std::thread::spawn(move || guard.release().unwrap())
        .join()
        .unwrap();
    assert!(db.advisory_locks().is_empty());
}

/// Forks while a guard is held; in a process of its own, since the child gets only the thread that forks.
#[test]
fn after_a_fork_the_child_has_an_engine_of_its_own_and_no_lock() {
    if child::role().is_some() {
        return fork_with_a_guard();
    }
    let db = database();
    let mut forking = Child::of(
        "after_a_fork_the_child_has_an_engine_of_its_own_and_no_lock",
        "forking",
    )
    .argument("URL", db.url())
    .start();
    forking.wait_for_line("forked", BOUND);
    assert_eq!(
        db.held(pglock::advisory_id("forked")),
        1,
        "the child's end took the parent's lock"
    );
    forking.send_line("release");
    forking.wait_for_line("released", BOUND);
    db.wait_for_no_locks();
    forking.finish(BOUND);
}

fn fork_with_a_guard() {
    let here = Database::builder(child::argument("URL")).build().unwrap();
    let guard = pglock::advisory("forked").using(&here).acquire().unwrap();
    let mut client = postgres::Client::connect(&child::argument("URL"), postgres::NoTls).unwrap();
    let on_client = pglock::advisory("forked client")
        .on(&mut client)
        .acquire()
        .unwrap();
    match fork::fork().unwrap() {
        Fork::Child => {
            let as_it_should = on_client.release().is_err_and(|error| error.is_lost())
                && guard.check().is_err_and(|error| error.is_lost())
                && pglock::advisory("forked")
                    .using(&here)
                    .try_acquire()
                    .is_ok_and(|guard| guard.is_none())
                && pglock::advisory("child")
                    .using(&here)
                    .run(|| Ok::<_, Error>(()))
                    .is_ok()
                && guard.release().is_err_and(|error| error.is_lost());
            std::process::exit(i32::from(!as_it_should));
        }
        Fork::Parent(pid) => {
            assert_eq!(
                fork::waitpid(pid).unwrap(),
                0,
                "the forked child saw something else"
            );
            guard.check().unwrap();
            on_client.release().unwrap();
            child::say("forked");
            assert_eq!(child::hear().as_deref(), Some("release"));
            guard.release().unwrap();
            child::say("released");
        }
    }
}

/// The sockets of this process, by the names that the kernel has for them.
fn sockets() -> BTreeSet<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .collect()
}

/// A child that has learned from any call of pglock's that it is one keeps no lock of its parent's, however that ends.
#[test]
fn a_child_that_knows_that_it_is_one_keeps_no_lock_of_a_parent_that_dies() {
    let test = "a_child_that_knows_that_it_is_one_keeps_no_lock_of_a_parent_that_dies";
    if child::role().is_some() {
        return fork_and_die();
    }
    let db = database();
    for call in [
        "check",
        "drop",
        "acquire",
        "close",
        "outside",
        "build",
        "connection",
        "xact",
        "look",
        "timeout",
    ] {
        let mut parent = Child::of(test, call).argument("URL", db.url()).start();
        let forked = parent.wait_for_line("child", BOUND).parse().unwrap();
        assert_eq!(db.held(pglock::advisory_id("kept")), 1, "{call}");
        parent.kill();
        db.wait_for_no_locks_within(BOUND);
        assert!(pglock_tests::is_alive(forked), "{call}");
    }
}

/// What needs no session of pglock's own.
fn on_a_connection(call: &str) -> bool {
    let url = child::argument("URL");
    let Ok(mut client) = postgres::Client::connect(&url, postgres::NoTls) else {
        return false;
    };
    match call {
        "connection" => {
            let lock = pglock::advisory("child").on(&mut client).acquire();
            lock.is_ok_and(|lock| lock.release().is_ok())
        }
        "xact" => client.transaction().is_ok_and(|mut transaction| {
            let lock = pglock::advisory("child").acquire_xact(&mut transaction);
            lock.is_ok()
        }),
        "look" => pglock::locks().fetch(&mut client).is_ok(),
        "timeout" => {
            let scope = pglock::timeout(Duration::from_secs(1)).on(&mut client);
            scope.is_ok()
        }
        _ => false,
    }
}

fn fork_and_die() {
    let here = Database::builder(child::argument("URL")).build().unwrap();
    let lock = |name: &'static str| pglock::advisory(name).using(&here);
    let mut guard = Some(lock("kept").acquire().unwrap());
    // On sessions of pglock's thread, too.
    let dedicated = lock("dedicated").dedicated().acquire().unwrap();
    let xact = lock("xact").xact().acquire().unwrap();
    // A socket that pglock's thread is reading just then stays open, so not every fork will do.
    let forked = (0..5).find_map(|_| {
        let (mut parent, mut forked) = UnixStream::pair().unwrap();
        match fork::fork().unwrap() {
            Fork::Child => {
                // A panic would leave half a test runner behind.
                let before = sockets();
                let is_as_ever = match child::role().as_deref() {
                    Some("check") => {
                        let checked = guard.as_ref().map(pglock::Guard::check);
                        checked.is_some_and(|it| it.is_err_and(|error| error.is_lost()))
                    }
                    Some("drop") => {
                        // The copy of the child.
                        guard = None;
                        true
                    }
                    Some("acquire") => lock("child").acquire().is_ok(),
                    Some("outside") => pglock::check().is_err(),
                    Some("build") => Database::builder(child::argument("URL")).build().is_ok(),
                    Some("close") => {
                        here.close();
                        true
                    }
                    Some(call) => on_a_connection(call),
                    None => false,
                };
                // Those of three sessions.
                let are_closed = before.difference(&sockets()).count() == 3;
                let _ = forked.write_all(&[u8::from(is_as_ever), u8::from(are_closed)]);
                drop(forked);
                if is_as_ever && are_closed {
                    child::wait_for_end();
                }
                std::process::exit(0);
            }
            Fork::Parent(pid) => {
                drop(forked);
                let mut said = [0; 2];
                parent.read_exact(&mut said).expect("the child says it");
                let [is_as_ever, are_closed] = said;
                assert_eq!(is_as_ever, 1, "what the child found");
                (are_closed == 1).then_some(pid)
            }
        }
    });
    let forked = forked.expect("a child that has closed them all");
    // They are closed in the child, and were not in the parent.
    for _ in 0..20 {
        lock("again").acquire().unwrap().release().unwrap();
        guard.as_ref().unwrap().check().unwrap();
        here.ping().unwrap();
    }
    dedicated.release().unwrap();
    xact.release().unwrap();
    child::say(&format!("child {forked}"));
    loop {
        std::thread::park();
    }
}

#[test]
fn an_uncontended_call_costs_two_round_trips() {
    if !server_is_ours() {
        // A proxy in front of a server that may want TLS or a password would test that instead.
        return;
    }
    let db = database();
    let proxy = Proxy::start(server());
    let here = Database::builder(proxy.url(db.name())).build().unwrap();
    let warm_up = || blocking_job(&here).unwrap();
    warm_up();
    let cost = |what: &str, call: &dyn Fn()| {
        let before = proxy.round_trips();
        for _ in 0..10 {
            call();
        }
        assert_eq!(proxy.round_trips() - before, 20, "{what}");
    };
    cost("an annotated call with a timeout", &|| {
        drop(blocking_job(&here));
    });
    cost("without a timeout", &|| {
        pglock::advisory("cost")
            .using(&here)
            .run(|| Ok::<_, Error>(()))
            .unwrap();
    });
    cost("tried", &|| {
        pglock::advisory("cost")
            .using(&here)
            .try_run(|| Ok::<_, Error>(()))
            .unwrap();
    });
    cost("async", &|| {
        drop(pollster::block_on(
            pglock::advisory("cost")
                .using(&here)
                .run_async(async { Ok::<_, Error>(()) }),
        ));
    });
    pglock::advisory("cost")
        .using(&here)
        .xact()
        .run(|| Ok::<_, Error>(()))
        .unwrap();
    cost("xact", &|| {
        pglock::advisory("cost")
            .using(&here)
            .xact()
            .timeout(Duration::from_secs(1))
            .run(|| Ok::<_, Error>(()))
            .unwrap();
    });
    let mut client = postgres::Client::connect(&proxy.url(db.name()), postgres::NoTls).unwrap();
    let before = proxy.round_trips();
    pglock::advisory("cost")
        .timeout(Duration::from_secs(1))
        .on(&mut client)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
    assert_eq!(proxy.round_trips() - before, 2);
    wait_until("nothing is held", BOUND, || db.advisory_locks().is_empty());
}

/// An executor like the one in the documentation of `std::task::Wake`, which waits for the thread's token.
#[test]
fn a_blocking_call_leaves_the_threads_park_token_to_its_owner() {
    let db = database();
    let here = handle(&db);
    let is_kept = |what: &str, call: &dyn Fn()| {
        std::thread::current().unpark();
        call();
        let began = Instant::now();
        std::thread::park_timeout(BOUND);
        assert!(began.elapsed() < BOUND, "{what} took the token");
    };
    let guard = Cell::new(None);
    is_kept("the first acquire, which connects", &|| {
        let lock = pglock::advisory("token").using(&here);
        guard.set(Some(lock.acquire().unwrap()));
    });
    is_kept("a wait", &|| {
        let lock = pglock::advisory("token").using(&here);
        let busy = lock.timeout(Duration::from_millis(50)).acquire();
        assert!(busy.unwrap_err().is_busy());
    });
    is_kept("a release", &|| guard.take().unwrap().release().unwrap());
    is_kept("a call in a transaction", &|| {
        let lock = pglock::advisory("token").using(&here).xact();
        lock.run(|| Ok::<_, Error>(())).unwrap();
    });
    is_kept("a drain", &pglock::drain);
}

/// Forks while other threads look for databases by name; in a process of its own.
#[test]
fn a_fork_copies_no_lock_that_a_call_in_the_child_would_wait_for() {
    const TEST: &str = "a_fork_copies_no_lock_that_a_call_in_the_child_would_wait_for";
    if child::role().is_some() {
        return fork_among_callers();
    }
    let mut forking = Child::of(TEST, "forking").start();
    forking.wait_for_line("ended", 3 * BOUND);
    forking.finish(BOUND);
}

fn fork_among_callers() {
    let url = "postgres://app@localhost/app";
    // A database by its name, and the default one, whose credentials are told again.
    let finds_databases = || {
        let lock = pglock::advisory("named").using("no such database");
        let is_refused = lock.try_acquire().is_err_and(|error| error.is_config());
        is_refused && pglock::configure(url).is_ok()
    };
    Database::builder(url)
        .build()
        .unwrap()
        .register("reports")
        .unwrap();
    let forked = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !forked.load(Ordering::Relaxed) {
                    assert!(finds_databases());
                }
            });
        }
        for fork in 0..200 {
            match fork::fork().unwrap() {
                Fork::Child => std::process::exit(i32::from(!finds_databases())),
                Fork::Parent(pid) => {
                    let began = Instant::now();
                    while fork::waitpid_nohang(pid).unwrap().is_none() {
                        if began.elapsed() > BOUND / 2 {
                            end_of_test(pid);
                            forked.store(true, Ordering::Relaxed);
                            panic!("the child of fork {fork} hangs");
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
        }
        forked.store(true, Ordering::Relaxed);
    });
    child::say("ended");
}

/// It would outlive the test.
fn end_of_test(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Calls pglock in the destructor of a thread-local, after the destructors of pglock's own; in a process of its own, which
/// that aborted.
#[test]
fn a_call_in_the_destructor_of_a_thread_local_runs_as_one_without_calls_around_it() {
    const TEST: &str =
        "a_call_in_the_destructor_of_a_thread_local_runs_as_one_without_calls_around_it";
    if child::role().is_some() {
        let done = Arc::new(Mutex::new(None));
        let flush = Flush {
            here: Database::builder(child::argument("URL")).build().unwrap(),
            done: Arc::clone(&done),
        };
        let thread = std::thread::spawn(|| {
            FLUSH.with_borrow_mut(|it| *it = Some(flush));
            // Pglock's own are used after that of the test, so they go before it.
            let guard = FLUSH.with_borrow(|it| {
                let here = &it.as_ref().unwrap().here;
                let lock = pglock::advisory("before").using(here);
                lock.run(pglock::check).unwrap();
                pglock::advisory("guard").using(here).acquire().unwrap()
            });
            guard.release().unwrap();
        });
        thread.join().unwrap();
        let done = done.lock().unwrap().take();
        child::say(&format!("{done:?}"));
        return;
    }
    let db = database();
    let mut thread_ends = Child::of(TEST, "thread ends")
        .argument("URL", db.url())
        .start();
    thread_ends.wait_for_line("Some(Ok(()))", BOUND);
    thread_ends.finish(BOUND);
    db.wait_for_no_locks();
}

struct Flush {
    here: Database,
    done: Arc<Mutex<Option<Result<(), Error>>>>,
}

thread_local! {
    static FLUSH: RefCell<Option<Flush>> = const { RefCell::new(None) };
}

impl Drop for Flush {
    fn drop(&mut self) {
        let flush = || {
            assert!(pglock::check().unwrap_err().is_config());
            pglock::advisory("guard")
                .using(&self.here)
                .acquire()?
                .release()?;
            blocking_job(&self.here)?;
            let lock = pglock::advisory("async").using(&self.here);
            let limited = lock.clone().hold_at_most(BOUND);
            pollster::block_on(lock.run_async(async { pglock::check() }))?;
            pollster::block_on(limited.run_async(async { pglock::check() }))?;
            let lock = || pglock::advisory("flush").using(&self.here);
            lock().run(|| lock().run(pglock::check))
        };
        *self.done.lock().unwrap() = Some(flush());
    }
}
