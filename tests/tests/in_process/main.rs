//! The database without a server. No server is started here, but for what is refused on a connection.

mod forks;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use pglock::testing::isolated;
use pglock::{Database, Error, ErrorKind, Guard, Using};
use pglock_tests::{BOUND, database};

fn here() -> Database {
    Database::in_process()
}

fn lock(id: &'static str) -> pglock::Advisory {
    pglock::advisory(id).using(here())
}

type Acquired = Result<Option<Guard>, Error>;

/// Whether another caller of this process would find it busy.
fn is_busy(id: &'static str) -> bool {
    lock(id).try_acquire().unwrap().is_none()
}

#[pglock::advisory("default", timeout = 0, side_effect = Skip)]
fn skips() -> Result<Option<u32>, Error> {
    Ok(Some(42))
}

#[pglock::advisory("default", timeout = 0, side_effect = Skip)]
async fn skips_async() -> Result<Option<u32>, Error> {
    Ok(Some(42))
}

/// What a program calls that knows nothing of the test.
fn deep_inside() -> Result<Option<u32>, Error> {
    skips()
}

#[tokio::test]
async fn as_the_default_database_it_serves_annotated_functions() {
    for _ in 0..2 {
        pglock::configure(here()).unwrap();
    }
    assert_eq!(Using::from("default").database().unwrap(), here());
    assert_eq!(deep_inside().unwrap(), Some(42));
    assert_eq!(skips_async().await.unwrap(), Some(42));
    let guard = pglock::advisory("default").acquire().unwrap();
    assert_eq!(deep_inside().unwrap(), None);
    assert_eq!(skips_async().await.unwrap(), None);
    assert_eq!(isolated(deep_inside).unwrap(), Some(42));
    guard.release_async().await.unwrap();
    assert_eq!(deep_inside().unwrap(), Some(42));
}

#[test]
fn one_of_another_name_is_another_database() {
    let reports = Database::builder(here()).application_name("reports");
    reports.build().unwrap().register("reports").unwrap();
    let guard = lock("named").acquire().unwrap();
    let there = pglock::advisory("named").using("reports");
    let other = there.try_acquire().unwrap().expect("it is another lock");
    drop((guard, other));
}

/// How many are inside, and how many were at once.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    most: AtomicUsize,
    all: AtomicUsize,
}

impl Inside {
    fn enter(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.all.fetch_add(1, Ordering::SeqCst);
        std::thread::yield_now();
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    fn during<T>(&self, body: impl FnOnce() -> T) -> T {
        self.enter();
        let result = body();
        self.leave();
        result
    }
}

const ROUNDS: usize = 50;

#[test]
fn threads_exclude_each_other_however_they_hold_it() {
    let inside = Inside::default();
    let body = || inside.during(|| Ok::<_, Error>(()));
    let ways: [&(dyn Fn() -> Result<(), Error> + Sync); 6] = [
        &|| lock("threads").run(body),
        &|| lock("threads").dedicated().run(body),
        &|| lock("threads").xact().run(body),
        &|| {
            let guard = lock("threads").acquire()?;
            body()?;
            guard.release()
        },
        &|| {
            let all = pglock::advisory_all(["threads", "others"]).using(here());
            all.run(body)
        },
        &|| pollster::block_on(lock("threads").run_async(async { body() })),
    ];
    std::thread::scope(|scope| {
        for way in ways {
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    way().unwrap();
                }
            });
        }
    });
    assert_eq!(inside.all.load(Ordering::SeqCst), ways.len() * ROUNDS);
    assert_eq!(inside.most.load(Ordering::SeqCst), 1);
}

/// Polls once.
async fn begin<F: Future>(mut future: Pin<&mut F>) {
    let is_pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending()));
    assert!(is_pending.await, "it waits for nothing");
}

#[tokio::test]
async fn who_waits_gets_it_in_order() {
    let guard = lock("order").acquire().unwrap();
    let order = AtomicUsize::new(0);
    let waits = |number| {
        let order = &order;
        async move {
            let guard = lock("order").acquire_async().await.unwrap();
            assert_eq!(order.fetch_add(1, Ordering::SeqCst), number);
            guard.release_async().await.unwrap();
        }
    };
    let (mut one, mut two, mut three) = (pin!(waits(0)), pin!(waits(1)), pin!(waits(2)));
    let mut dropped = Box::pin(lock("order").acquire_async());
    begin(one.as_mut()).await;
    begin(dropped.as_mut()).await;
    begin(two.as_mut()).await;
    begin(three.as_mut()).await;
    // One that goes away loses the others no place, and is in nobody's way.
    drop(dropped);
    guard.release_async().await.unwrap();
    // The last one asks first for its answer.
    tokio::join!(three, two, one);
    assert_eq!(order.load(Ordering::SeqCst), 3);
    assert!(!is_busy("order"));
}

#[test]
fn a_timeout_is_kept_and_names_this_process() {
    let builder = Database::builder(here()).application_name("worker-1");
    let there = builder.build().unwrap();
    let lock = || pglock::advisory("timeout").using(&there);
    let guard = lock().acquire().unwrap();
    let began = Instant::now();
    let bound = Duration::from_millis(80);
    let busy = lock().timeout(bound).acquire().unwrap_err();
    assert!(busy.is_busy() && began.elapsed() >= bound, "{busy}");
    let holder = busy.holder().unwrap();
    assert!(holder.this_process);
    assert_eq!(holder.pid.cast_unsigned(), std::process::id());
    assert_eq!(holder.lock_name.as_deref(), Some("timeout"));
    assert!(holder.held_for.unwrap() >= bound);
    let said = busy.to_string();
    assert!(
        said.starts_with("lock \"timeout\" is busy after "),
        "{said}"
    );
    assert!(said.contains("(\"pglock: worker-1\")"), "{said}");
    let wait = std::thread::scope(|scope| {
        let wait = scope.spawn(|| lock().timeout(BOUND).acquire());
        guard.release().unwrap();
        wait.join().unwrap()
    });
    wait.unwrap().release().unwrap();
}

#[test]
fn shared_ones_share_and_exclude_who_does_not() {
    let shared = || lock("shared").shared();
    let others: [fn() -> Acquired; 3] = [
        || lock("shared").shared().try_acquire(),
        || lock("shared").shared().dedicated().try_acquire(),
        || lock("shared").shared().xact().try_acquire(),
    ];
    for other in others {
        let both = [shared().try_acquire(), other()];
        let both = both.map(|guard| guard.unwrap().expect("both share it"));
        assert!(is_busy("shared"));
        for guard in both {
            guard.release().unwrap();
        }
    }
    let guard = lock("shared").acquire().unwrap();
    assert!(shared().try_acquire().unwrap().is_none());
    guard.release().unwrap();
}

#[test]
fn what_is_dropped_or_panics_is_released() {
    let panics = || -> Result<(), Error> { panic!("in the body") };
    let ways: [&(dyn Fn() + Sync); 6] = [
        &|| drop(lock("drop").acquire().unwrap()),
        &|| drop(lock("drop").xact().acquire().unwrap()),
        &|| drop(lock("drop").dedicated().acquire().unwrap()),
        &|| lock("drop").run(panics).unwrap(),
        &|| lock("drop").xact().run(panics).unwrap(),
        &|| lock("drop").dedicated().run(panics).unwrap(),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let ended = std::thread::scope(|scope| scope.spawn(way).join());
        assert_eq!(ended.is_err(), number > 2);
        // It is released in the background, before what is asked for next.
        assert!(!is_busy("drop"), "{number}");
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_releases() {
    let body = lock("dropped body").run_async(std::future::pending::<Result<(), Error>>());
    let waited = tokio::time::timeout(Duration::from_millis(20), body).await;
    assert!(waited.is_err());
    assert!(!is_busy("dropped body"));
}

#[test]
fn calls_inside_calls_share_it_and_are_not_let_wait_for_themselves() {
    lock("nested")
        .run(|| {
            assert!(is_busy_elsewhere("nested"));
            lock("nested").run(|| Ok::<_, Error>(()))?;
            // The inner one has not released it.
            assert!(is_busy_elsewhere("nested"));
            pglock::check()
        })
        .unwrap();
    let upgraded = lock("nested")
        .shared()
        .run(|| lock("nested").run(|| Ok::<_, Error>(())));
    assert_eq!(upgraded.unwrap_err().kind(), ErrorKind::Config);
    let guard = lock("nested").acquire().unwrap();
    let own = lock("nested").acquire().unwrap_err();
    assert!(own.to_string().contains("this thread"), "{own}");
    guard.release().unwrap();
}

fn is_busy_elsewhere(id: &'static str) -> bool {
    std::thread::scope(|scope| scope.spawn(|| is_busy(id)).join().unwrap())
}

#[test]
fn a_deadlock_of_nested_calls_ends_for_one() {
    let both = std::sync::Barrier::new(2);
    let nested = |outer, inner| {
        lock(outer).run(|| {
            both.wait();
            lock(inner).run(|| Ok::<_, Error>(()))
        })
    };
    let outcomes = std::thread::scope(|scope| {
        [("ring a", "ring b"), ("ring b", "ring a")]
            .map(|(outer, inner)| scope.spawn(move || nested(outer, inner)))
            .map(|call| call.join().unwrap())
    });
    let deadlocks = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    let kinds: Vec<ErrorKind> = deadlocks.map(Error::kind).collect();
    assert_eq!(kinds, [ErrorKind::Deadlock]);
}

#[test]
fn several_are_had_or_none() {
    let all = || pglock::advisory_all(["all a", "all b"]).using(here());
    let guard = lock("all b").acquire().unwrap();
    assert!(all().try_acquire().unwrap().is_none());
    assert!(!is_busy("all a"));
    guard.release().unwrap();
    let guard = all().acquire().unwrap();
    assert!(is_busy("all a") && is_busy("all b"));
    guard.release().unwrap();
    assert!(!is_busy("all a") && !is_busy("all b"));
}

#[test]
fn a_limit_lets_so_many_in() {
    let inside = Inside::default();
    let limit = || pglock::limit(3, "limit").using(here());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..ROUNDS / 5 {
                    limit()
                        .run(|| inside.during(|| Ok::<_, Error>(())))
                        .unwrap();
                }
            });
        }
    });
    assert!(inside.most.into_inner() <= 3);
    let all: Vec<Guard> = (0..3).map(|_| limit().acquire().unwrap()).collect();
    let mut slots: Vec<_> = all.iter().map(|guard| guard.slot().unwrap()).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2]);
    assert!(limit().try_acquire().unwrap().is_none());
    let other = pglock::limit(4, "limit").using(here()).try_acquire();
    let other = other.unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Config);
    assert!(other.to_string().contains('3'), "{other}");
    let unlike = pglock::limit(4, "another limit").using(here());
    drop(unlike.try_acquire().unwrap().expect("it is another one"));
}

#[tokio::test]
async fn one_leads_at_a_time_and_another_one_when_it_ends() {
    let inside = Inside::default();
    let lead = || {
        lock("leader").lead(|| async {
            inside.enter();
            tokio::task::yield_now().await;
            inside.leave();
            Ok::<_, Error>(())
        })
    };
    let (one, two, three) = tokio::join!(lead(), lead(), lead());
    for led in [one, two, three] {
        led.unwrap();
    }
    assert_eq!(inside.all.into_inner(), 3);
    assert_eq!(inside.most.into_inner(), 1);
}

#[tokio::test]
async fn it_is_held_for_as_long_as_is_asked() {
    // Long enough for a busy machine to look within it.
    let least = Duration::from_secs(2);
    let kept = || lock("kept").hold_at_least(least);
    let began = Instant::now();
    kept().run(|| Ok::<_, Error>(())).unwrap();
    let busy = lock("kept").timeout(Duration::ZERO).acquire().unwrap_err();
    assert!(busy.holder().unwrap().kept_for.is_some(), "{busy}");
    pglock::drain_async().await;
    assert!(began.elapsed() >= least);
    assert!(!is_busy("kept"));

    let stopped = lock("stopped")
        .hold_at_most(Duration::from_millis(30))
        .run_async(std::future::pending::<Result<(), Error>>());
    let stopped = stopped.await.unwrap_err();
    assert!(stopped.is_lost() && !stopped.body_finished(), "{stopped}");
    assert!(!is_busy("stopped"));
}

#[test]
fn it_is_there_and_can_be_closed() {
    here().ping().unwrap();
    lock("closed").run(|| Ok::<_, Error>(())).unwrap();
    let guard = lock("closed").acquire().unwrap();
    here().close();
    guard.check().unwrap();
    assert!(is_busy("closed"));
    guard.release().unwrap();
    here().close();
    assert!(!is_busy("closed"));
}

#[test]
fn what_only_a_server_has_is_refused() {
    let said = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let said = error.to_string();
        assert!(said.contains("`Database::in_process()` has none"), "{said}");
        said
    };
    let once = lock("refused").once_in(Duration::from_secs(60));
    let once = said(once.try_acquire().unwrap_err());
    assert!(
        once.starts_with("lock \"refused\": `once_in` needs"),
        "{once}"
    );
    let fenced = lock("refused").fenced().run(pglock::token);
    let fenced = said(fenced.unwrap_err());
    assert!(
        fenced.starts_with("lock \"refused\": `fenced` needs"),
        "{fenced}"
    );
    // Neither was acquired for that.
    assert!(!is_busy("refused"));
    let connects = pollster::block_on(here().connect_async());
    assert!(said(connects.err().unwrap()).starts_with("`connect_async` needs"));
    let db = database();
    let mut client = db.connect();
    let watches = pglock::prioritize().using(here()).on(&mut client);
    assert!(said(watches.err().unwrap()).starts_with("the watcher of `prioritize` needs"));
    // The tries are on the connection, and only who was in the way stays unknown.
    client.batch_execute("CREATE TABLE orders ()").unwrap();
    let mut other = db.connect();
    let mut tx = other.transaction().unwrap();
    tx.batch_execute("LOCK TABLE orders").unwrap();
    let tried = pglock::retry_locks()
        .tries(1)
        .using(here())
        .run(&mut client, |client| {
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
                client.batch_execute("SELECT FROM orders")?,
            )
        });
    let tried = tried.unwrap_err().to_string();
    assert!(
        tried.contains("because a look at who has the lock needs a server"),
        "{tried}"
    );
    // Its waits can be those of a section elsewhere.
    let there = Database::builder(db.url()).build().unwrap();
    let mut section = pglock::prioritize().using(&there).on(&mut client).unwrap();
    section.run(|_| {
        let guard = lock("in a section").acquire().unwrap();
        assert!(is_busy("in a section"));
        guard.release().unwrap();
    });
    section.finish().unwrap();
}
