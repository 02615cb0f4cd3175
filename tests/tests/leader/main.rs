//! One process leads; another one does when it can't.

mod processes;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pglock::{Database, Error, ErrorKind, Leader};
use pglock_tests::{BOUND, Server, TestDb, database, wait_until};
use tokio::runtime::{self, Runtime};

const SOON: Duration = Duration::from_millis(50);

fn executor() -> Runtime {
    runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// As another process: sessions are shared by equal handles only.
fn process(url: &str, name: &str) -> Leader {
    let here = Database::builder(url).application_name(name).build();
    pglock::leader("scheduler")
        .using(here.unwrap())
        .restart(SOON)
}

/// Terms that have begun, and those that are not over.
#[derive(Default)]
struct Terms {
    begun: AtomicUsize,
    running: AtomicUsize,
}

/// Counts a term for as long as its body is there.
struct Running(Arc<Terms>);

impl Running {
    fn begin(terms: &Arc<Terms>) -> Self {
        terms.begun.fetch_add(1, Ordering::SeqCst);
        let before = terms.running.fetch_add(1, Ordering::SeqCst);
        assert_eq!(before, 0, "two lead");
        Self(Arc::clone(terms))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Leads without end.
async fn work(terms: Arc<Terms>) -> Result<(), Error> {
    let _running = Running::begin(&terms);
    std::future::pending().await
}

fn begun(terms: &Terms) -> usize {
    terms.begun.load(Ordering::SeqCst)
}

fn holder(db: &TestDb) -> i32 {
    db.advisory_locks()
        .iter()
        .find(|lock| lock.granted)
        .unwrap()
        .pid
}

#[test]
fn one_leads_and_a_dropped_leader_hands_over_at_once() {
    let (db, executor) = (database(), executor());
    let terms = Arc::<Terms>::default();
    let leaders = [process(db.url(), "one"), process(db.url(), "two")];
    let lead = |leader: &Leader| {
        let (leader, terms) = (leader.clone(), Arc::clone(&terms));
        executor.spawn(async move { leader.lead(|| work(Arc::clone(&terms))).await })
    };
    let first = lead(&leaders[0]);
    wait_until("the first leads", BOUND, || {
        leaders[0].is_leading().unwrap()
    });
    let second = lead(&leaders[1]);
    db.wait_for_waiters(1);
    assert!(!leaders[1].is_leading().unwrap());
    first.abort();
    // It leads from when it has the lock on, and the body begins a moment later.
    wait_until("the second leads", BOUND, || {
        leaders[1].is_leading().unwrap() && begun(&terms) == 2
    });
    assert!(!leaders[0].is_leading().unwrap());
    second.abort();
    db.wait_for_no_locks();
    assert!(!leaders[1].is_leading().unwrap());
}

#[test]
fn a_leader_that_lost_the_lock_stops_and_comes_back() {
    let (db, executor) = (database(), executor());
    let terms = Arc::<Terms>::default();
    let leader = process(db.url(), "one");
    let task = {
        let (leader, terms) = (leader.clone(), Arc::clone(&terms));
        executor.spawn(async move { leader.lead(|| work(Arc::clone(&terms))).await })
    };
    for term in 1..4 {
        wait_until("it leads", BOUND, || {
            begun(&terms) == term && leader.is_leading().unwrap()
        });
        db.terminate(holder(&db));
    }
    wait_until("it leads again", BOUND, || begun(&terms) == 4);
    task.abort();
    db.wait_for_no_locks();
}

#[test]
fn by_a_fenced_lock_each_term_has_a_larger_token() {
    let (db, executor) = (database(), executor());
    let here = Database::builder(db.url()).build().unwrap();
    let lock = || pglock::advisory("scheduler").using(&here);
    let tokens = Arc::<Mutex<Vec<u64>>>::default();
    let task = {
        let (lock, tokens) = (lock().fenced(), Arc::clone(&tokens));
        executor.spawn(lock.lead(move || {
            let tokens = Arc::clone(&tokens);
            async move {
                tokens.lock().unwrap().push(pglock::token()?);
                std::future::pending::<Result<(), Error>>().await
            }
        }))
    };
    let terms = || tokens.lock().unwrap().len();
    wait_until("it leads", BOUND, || terms() == 1);
    db.terminate(holder(&db));
    wait_until("it leads again", BOUND, || terms() == 2);
    task.abort();
    db.wait_for_no_locks();
    // So has who holds the lock otherwise.
    let guard = lock().fenced().acquire().unwrap();
    tokens.lock().unwrap().push(guard.token().unwrap());
    let tokens = tokens.lock().unwrap();
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
}

#[test]
fn another_lock_that_is_fenced_has_a_token_inside_a_leader() {
    #[pglock::leader("scheduler", using = here)]
    async fn lead(here: &Database) -> Result<u64, Error> {
        // That of the leader itself is held without one.
        let same = pglock::advisory("scheduler").using(here).fenced();
        let same = same.run_async(async { pglock::token() }).await;
        assert!(same.unwrap_err().is_config());
        let ledger = pglock::advisory("ledger").using(here).fenced();
        ledger.run_async(async { pglock::token() }).await
    }

    let (db, executor) = (database(), executor());
    let here = Database::builder(db.url()).build().unwrap();
    let one = executor.block_on(lead(&here)).unwrap();
    assert!(one < executor.block_on(lead(&here)).unwrap());
}

#[test]
fn a_database_that_is_away_ends_no_leader() {
    let executor = executor();
    let server = Server::start();
    let db = server.create_database();
    let terms = Arc::<Terms>::default();
    let leader = process(db.url(), "one");
    let task = {
        let (leader, terms) = (leader.clone(), Arc::clone(&terms));
        executor.spawn(async move { leader.lead(|| work(Arc::clone(&terms))).await })
    };
    wait_until("it leads", BOUND, || leader.is_leading().unwrap());
    server.stop();
    wait_until("it has stopped", BOUND, || {
        !leader.is_leading().unwrap() && terms.running.load(Ordering::SeqCst) == 0
    });
    // It takes much longer to start than the leader pauses, so that connecting has failed by then.
    server.start_again();
    wait_until("it leads again", 2 * BOUND, || begun(&terms) == 2);
    task.abort();
    db.wait_for_no_locks();
}

#[test]
fn the_pause_doubles_while_the_database_is_away_and_is_short_again_after_a_term() {
    const FAILURES: usize = 6;
    let (db, executor) = (database(), executor());
    let terms = Arc::<Terms>::default();
    let tries = AtomicUsize::new(0);
    let here = Database::builder(db.url())
        .application_name("one")
        .password_with(move || {
            if tries.fetch_add(1, Ordering::SeqCst) < FAILURES {
                Err("as if there were no database")
            } else {
                Ok("")
            }
        });
    let leader = process(db.url(), "one").using(here.build().unwrap());
    let began = Instant::now();
    let task = {
        let (leader, terms) = (leader.clone(), Arc::clone(&terms));
        executor.spawn(async move { leader.lead(|| work(Arc::clone(&terms))).await })
    };
    wait_until("it leads", BOUND, || leader.is_leading().unwrap());
    // 1, 2, 4, .. times `SOON`, each shorter by a quarter at most.
    let doubled = SOON * ((1 << FAILURES) - 1);
    assert!(began.elapsed() >= doubled.mul_f64(0.75));
    let lost = Instant::now();
    db.terminate(holder(&db));
    wait_until("it leads again", BOUND, || begun(&terms) == 2);
    // The next pause would have been longer than all of them together.
    let pause = lost.elapsed();
    assert!(pause < doubled / 2, "{pause:?}");
    task.abort();
    db.wait_for_no_locks();
}

#[test]
fn the_pause_is_short_again_once_it_waits_behind_another_leader() {
    const FAILURES: usize = 6;
    let (db, executor) = (database(), executor());
    let mut other = db.connect();
    let held = pglock::advisory("scheduler").on(&mut other).acquire();
    let tries = Arc::new(AtomicUsize::new(0));
    let is_away = Arc::new(AtomicBool::new(true));
    let here = Database::builder(db.url())
        .application_name("one")
        .password_with({
            let (tries, is_away) = (Arc::clone(&tries), Arc::clone(&is_away));
            move || {
                tries.fetch_add(1, Ordering::SeqCst);
                if is_away.load(Ordering::SeqCst) {
                    Err("as if there were no database")
                } else {
                    Ok("")
                }
            }
        });
    let leader = process(db.url(), "one").using(here.build().unwrap());
    let task = executor.spawn(leader.lead(std::future::pending::<Result<(), Error>>));
    let wait_for_try = |number| {
        wait_until("it is tried", BOUND, || {
            tries.load(Ordering::SeqCst) >= number
        });
    };
    wait_for_try(FAILURES);
    is_away.store(false, Ordering::SeqCst);
    let mut looker = db.connect();
    let lasts = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND waitstart < clock_timestamp() - interval '1 s')";
    // Twenty times as long as it may take to notice.
    wait_until("it has waited for a while", 2 * BOUND, || {
        looker.query_one(lasts, &[]).unwrap().get(0)
    });
    is_away.store(true, Ordering::SeqCst);
    let before = tries.load(Ordering::SeqCst);
    let began = Instant::now();
    for pid in db.backends_named("pglock: one") {
        db.terminate(pid);
    }
    wait_for_try(before + 3);
    // The first pause would be 64 times `SOON`, if only a term made it shorter.
    let pauses = began.elapsed();
    assert!(pauses < SOON * (1 << FAILURES) / 2, "{pauses:?}");
    task.abort();
    drop(held);
    db.wait_for_no_locks();
}

#[test]
fn a_leader_that_has_lost_the_lock_and_works_on_is_none() {
    let (db, executor) = (database(), executor());
    let leader = process(db.url(), "one");
    let may_end = Arc::new(AtomicBool::new(false));
    let task = {
        let (leader, may_end) = (leader.clone(), Arc::clone(&may_end));
        executor.spawn(async move {
            let body = || async {
                // Without an await nothing can stop it.
                wait_until("it may end", BOUND, || may_end.load(Ordering::SeqCst));
                Ok::<_, Error>(())
            };
            leader.lead(body).await
        })
    };
    wait_until("it leads", BOUND, || leader.is_leading().unwrap());
    db.terminate(holder(&db));
    wait_until("it leads no more", BOUND, || !leader.is_leading().unwrap());
    may_end.store(true, Ordering::SeqCst);
    let error = executor.block_on(task).unwrap().unwrap_err();
    assert!(error.is_lost() && error.body_finished(), "{error}");
}

#[test]
fn a_wait_that_is_canceled_in_the_server_ends_no_leader() {
    let (db, executor) = (database(), executor());
    let mut client = db.connect();
    let held = pglock::advisory("scheduler")
        .on(&mut client)
        .acquire()
        .unwrap();
    let leader = process(db.url(), "one");
    let task = executor.spawn(leader.lead(|| async { Ok::<_, Error>(7) }));
    for _ in 0..3 {
        db.wait_for_waiters(1);
        db.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
        );
        wait_until("its wait is over", BOUND, || db.blocked_pids().is_empty());
    }
    db.wait_for_waiters(1);
    held.release().unwrap();
    assert_eq!(executor.block_on(task).unwrap().unwrap(), 7);
}

#[test]
fn a_standby_ends_no_leader() {
    let executor = executor();
    let primary = Server::start();
    let db = primary.create_database();
    let standby = primary.standby();
    let leader = process(&standby.url(db.name()), "one");
    let task = executor.spawn(leader.clone().lead(|| async { Ok::<_, Error>(7) }));
    let tried = || {
        let here = Database::builder(standby.url(db.name()))
            .application_name("one")
            .build();
        here.unwrap().ping().unwrap_err()
    };
    assert!(tried().is_environment(), "it is none");
    let promoted = standby.url(db.name());
    postgres::Client::connect(&promoted, postgres::NoTls)
        .unwrap()
        .batch_execute("SELECT pg_promote()")
        .unwrap();
    assert_eq!(executor.block_on(task).unwrap().unwrap(), 7);
}

#[test]
fn a_body_that_fails_since_the_lock_is_lost_begins_anew() {
    let (db, executor) = (database(), executor());
    let terms = AtomicUsize::new(0);
    let url = db.url().to_owned();
    let ended = executor.block_on(process(&url, "one").lead(|| async {
        if terms.fetch_add(1, Ordering::SeqCst) > 0 {
            return Ok(7);
        }
        db.terminate(holder(&db));
        // As one that asks between its steps: it hears of the loss first.
        wait_until("the loss is known", BOUND, || pglock::check().is_err());
        pglock::check().map(|()| 0)
    }));
    assert_eq!(ended.unwrap(), 7);
}

#[test]
fn a_pause_that_cannot_work_is_refused() {
    let executor = executor();
    for pause in [Duration::ZERO, Duration::MAX] {
        let leader = pglock::leader("scheduler").restart(pause);
        let ended = executor.block_on(leader.lead(|| async { Ok::<_, Error>(()) }));
        let error = ended.unwrap_err();
        assert!(
            error.is_config() && error.to_string().contains("`restart`"),
            "{error}"
        );
    }
}

#[test]
fn the_end_of_the_body_is_the_end() {
    let (db, executor) = (database(), executor());
    let ended = executor.block_on(process(db.url(), "one").lead(|| async { Ok::<_, Error>(7) }));
    assert_eq!(ended.unwrap(), 7);
    let failed = executor.block_on(
        process(db.url(), "one")
            .lead(|| async { Err::<(), Box<dyn std::error::Error + Send + Sync>>("no".into()) }),
    );
    assert_eq!(failed.unwrap_err().to_string(), "no");
    db.wait_for_no_locks();
}

#[test]
fn a_body_that_fails_begins_anew_where_that_is_asked_for() {
    let (db, executor) = (database(), executor());
    let began = AtomicUsize::new(0);
    let leader = process(db.url(), "one").restart_on_error(true);
    let before = Instant::now();
    let ended = executor.block_on(leader.lead(|| async {
        match began.fetch_add(1, Ordering::SeqCst) {
            0..6 => Err::<_, Box<dyn std::error::Error + Send + Sync>>("not yet".into()),
            term => Ok(term),
        }
    }));
    assert_eq!(ended.unwrap(), 6);
    // Six pauses, each shorter by a quarter at most. If they doubled, they would be ten times as long.
    let took = before.elapsed();
    assert!(took >= SOON * 6 * 3 / 4 && took < SOON * 30, "{took:?}");
    db.wait_for_no_locks();
}

#[test]
fn what_cannot_work_ends_it() {
    let executor = executor();
    let ended = executor.block_on(
        pglock::leader("")
            .using("unknown")
            .lead(|| async { Ok::<_, Error>(()) }),
    );
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Config);
    let (db, mut client) = {
        let db = database();
        let client = db.connect();
        (db, client)
    };
    let here = Database::builder(db.url()).build().unwrap();
    let held = pglock::advisory("scheduler")
        .on(&mut client)
        .acquire()
        .unwrap();
    let lock = pglock::advisory("scheduler").using(&here).timeout(SOON);
    let busy = executor.block_on(lock.lead(|| async { Ok::<_, Error>(()) }));
    assert!(busy.unwrap_err().is_busy());
    held.release().unwrap();
}

/// What a body by the attribute works on.
#[derive(Clone)]
struct Work {
    here: Database,
    terms: Arc<Terms>,
}

#[pglock::leader("scheduler", using = &work.here, restart = "50ms")]
async fn schedule(work: Work, names: Vec<String>) -> Result<usize, Error> {
    let running = Running::begin(&work.terms);
    if names.len() == begun(&running.0) {
        return Ok(names.len());
    }
    std::future::pending().await
}

struct Shard {
    here: Database,
    number: u32,
    tries: AtomicUsize,
}

impl Shard {
    #[pglock::leader("shard-{self.number}", using = &self.here, restart = "1ms", restart_on_error, on_error = Panic)]
    async fn lead(&self, add: usize) -> Result<usize, String> {
        match self.tries.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err("not yet".to_owned()),
            tries => Ok(tries + add),
        }
    }
}

#[test]
fn an_annotated_function_has_a_new_body_with_its_arguments_in_each_term() {
    let (db, executor) = (database(), executor());
    let terms = Arc::<Terms>::default();
    let work = Work {
        here: Database::builder(db.url()).build().unwrap(),
        terms: Arc::clone(&terms),
    };
    let names = vec!["a".to_owned(), "b".to_owned()];
    let task = executor.spawn(async move { schedule(work, names).await });
    wait_until("it leads", BOUND, || {
        begun(&terms) == 1 && !db.advisory_locks().is_empty()
    });
    db.terminate(holder(&db));
    assert_eq!(executor.block_on(task).unwrap().unwrap(), 2);
    db.wait_for_no_locks();
}

#[test]
fn a_method_leads_by_a_lock_of_its_own_and_restarts() {
    let (db, executor) = (database(), executor());
    let shard = Shard {
        here: Database::builder(db.url()).build().unwrap(),
        number: 7,
        tries: AtomicUsize::new(0),
    };
    assert_eq!(executor.block_on(shard.lead(40)).unwrap(), 42);
    db.wait_for_no_locks();
}
