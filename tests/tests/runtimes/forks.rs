//! Children of a fork: an engine of their own, and no lock.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fork::Fork;
use pglock::{Database, Error};
use pglock_tests::{BOUND, Child, child, database};
use rustix::process::{Pid, Signal, kill_process};

/// Forks while a guard is held; in a process of its own, since the child gets only the thread that forks.
#[test]
fn after_a_fork_the_child_has_an_engine_of_its_own_and_no_lock() {
    if child::role().is_some() {
        return fork_with_a_guard();
    }
    let db = database();
    let mut forking = Child::of(
        "forks::after_a_fork_the_child_has_an_engine_of_its_own_and_no_lock",
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
    let test = "forks::a_child_that_knows_that_it_is_one_keeps_no_lock_of_a_parent_that_dies";
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

/// Forks while other threads look for databases by name; in a process of its own.
#[test]
fn a_fork_copies_no_lock_that_a_call_in_the_child_would_wait_for() {
    const TEST: &str = "forks::a_fork_copies_no_lock_that_a_call_in_the_child_would_wait_for";
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
