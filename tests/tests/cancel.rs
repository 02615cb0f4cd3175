//! Dropped at any await: released, and nothing stays queued. Seen from another session, within a second.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pglock::{Database, Error};
use pglock_tests::{BOUND, TestDb, database, wait_until, wait_until_async};
use tokio_postgres::NoTls;

const LOCK: &str = "swept";

/// Polls `future` up to `polls` times, each after it was woken, then drops it. Whether it was done by then.
fn poll_then_drop(future: impl Future, polls: usize) -> bool {
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut future = pin!(future);
    (0..polls).any(|_| {
        let began = Instant::now();
        // A wait for a lock that somebody keeps is never woken; it is polled again all the same.
        while !woken.0.swap(false, Ordering::AcqRel) && began.elapsed() < Duration::from_millis(20)
        {
            std::hint::spin_loop();
        }
        future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
    })
}

/// Drops `future` after each number of polls until it is done by then, and a few times beyond.
fn sweep<F: Future>(what: &str, future: impl Fn() -> F, clean: impl Fn()) {
    let mut done = 0;
    for polls in 0..200 {
        if poll_then_drop(future(), polls) {
            done += 1;
        }
        clean();
        if done > 3 {
            return;
        }
    }
    panic!("{what} was never done");
}

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// A body with awaits of its own.
async fn body() -> Result<(), Error> {
    for _ in 0..3 {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
    Ok(())
}

#[test]
fn acquire_run_and_release_can_be_dropped_at_any_poll() {
    let db = database();
    let here = handle(&db);
    let lock = || pglock::advisory(LOCK).using(&here);
    let clean = || db.wait_for_no_locks();
    sweep("acquire", || lock().acquire_async(), clean);
    sweep(
        "acquire with a timeout",
        || lock().timeout(BOUND).acquire_async(),
        clean,
    );
    sweep("acquire xact", || lock().xact().acquire_async(), clean);
    sweep("try", || lock().try_acquire_async(), clean);
    sweep("run", || lock().run_async(body()), clean);
    sweep(
        "nested run",
        || lock().run_async(pglock::advisory("inner").using(&here).run_async(body())),
        clean,
    );
    sweep(
        "release",
        || {
            let guard = lock().acquire().unwrap();
            guard.release_async()
        },
        clean,
    );
}

#[test]
fn an_annotated_call_can_be_dropped_at_any_poll() {
    #[pglock::advisory("annotated-{n}", using = here, timeout = "2s")]
    async fn job(here: &Database, n: u32) -> Result<u32, Error> {
        body().await?;
        Ok(n)
    }

    let db = database();
    let here = handle(&db);
    sweep(
        "an annotated call",
        || job(&here, 7),
        || db.wait_for_no_locks(),
    );
}

/// What a body undoes as it is dropped, it undoes under the lock.
#[test]
fn a_dropped_call_drops_its_body_before_it_releases() {
    struct Body<'a> {
        db: &'a TestDb,
        runs: &'a AtomicBool,
        was_held_to_the_end: &'a AtomicBool,
    }

    impl Body<'_> {
        async fn run(self) -> Result<(), Error> {
            self.runs.store(true, Ordering::Release);
            std::future::pending().await
        }
    }

    impl Drop for Body<'_> {
        fn drop(&mut self) {
            let held = self.db.held(pglock::advisory_id(LOCK)) == 1;
            self.was_held_to_the_end.store(held, Ordering::Release);
        }
    }

    #[pglock::advisory(LOCK, using = here)]
    async fn job(here: &Database, body: Body<'_>) -> Result<(), Error> {
        body.run().await
    }

    let db = database();
    let here = handle(&db);
    let (runs, was_held_to_the_end) = (AtomicBool::new(false), AtomicBool::new(false));
    let body = || Body {
        db: &db,
        runs: &runs,
        was_held_to_the_end: &was_held_to_the_end,
    };
    let by_hand = pglock::advisory(LOCK).using(&here).run_async(body().run());
    let calls: [Pin<Box<dyn Future<Output = _>>>; 2] =
        [Box::pin(by_hand), Box::pin(job(&here, body()))];
    for mut call in calls {
        let mut context = Context::from_waker(Waker::noop());
        wait_until("the body runs", BOUND, || {
            assert!(call.as_mut().poll(&mut context).is_pending());
            runs.swap(false, Ordering::AcqRel)
        });
        drop(call);
        assert!(was_held_to_the_end.swap(false, Ordering::AcqRel));
        db.wait_for_no_locks();
    }
}

#[test]
fn a_dropped_wait_leaves_nothing_queued() {
    let db = database();
    let here = handle(&db);
    let mut holder = db.connect();
    let held = pglock::advisory(LOCK).on(&mut holder).acquire().unwrap();
    for round in 0..40 {
        let lock = pglock::advisory(LOCK).using(&here);
        let waits = match round % 4 {
            0 => Box::pin(async { drop(lock.acquire_async().await) })
                as Pin<Box<dyn Future<Output = ()>>>,
            1 => Box::pin(async { drop(lock.timeout(BOUND).acquire_async().await) }),
            2 => Box::pin(async { drop(lock.xact().acquire_async().await) }),
            _ => Box::pin(async { drop(lock.run_async(body()).await) }),
        };
        let mut waits = waits;
        let mut context = Context::from_waker(Waker::noop());
        // At its first poll a task lets others go first.
        for _ in 0..2 {
            assert!(waits.as_mut().poll(&mut context).is_pending());
        }
        // Every other one is dropped before, or as, it arrives in the server's queue.
        if round % 8 < 4 {
            db.wait_for_waiters(1);
        }
        drop(waits);
        wait_until("nothing waits", Duration::from_secs(1), || {
            db.waiting(pglock::advisory_id(LOCK)) == 0
        });
    }
    held.release().unwrap();
    db.wait_for_no_locks();
    // The sessions that were canceled are sound.
    pglock::advisory(LOCK)
        .using(&here)
        .try_acquire()
        .unwrap()
        .expect("it is free")
        .release()
        .unwrap();
}

#[test]
fn a_wait_that_is_dropped_as_it_is_granted_is_released() {
    let db = database();
    let here = handle(&db);
    for micros in (0..3_000).step_by(30) {
        let guard = pglock::advisory(LOCK).using(&here).acquire().unwrap();
        let mut waits = pin!(
            pglock::advisory(LOCK)
                .using(&here)
                .timeout(BOUND)
                .acquire_async()
        );
        let mut context = Context::from_waker(Waker::noop());
        assert!(waits.as_mut().poll(&mut context).is_pending());
        drop(guard);
        // The moment itself is what is swept.
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(micros) {
            std::hint::spin_loop();
        }
    }
    db.wait_for_no_locks();
}

async fn connect(db: &TestDb) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Polls once, lets time pass for the connection's task, and drops.
async fn drop_after(future: impl Future, time: Duration) {
    let _ = tokio::time::timeout(time, future).await;
}

/// The statement after a dropped wait: prompt, and not hit by a cancel that was meant for the wait.
async fn assert_sound(client: &tokio_postgres::Client) {
    let began = Instant::now();
    for _ in 0..3 {
        client.simple_query("SELECT pg_sleep(0.002)").await.unwrap();
    }
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "the next statements took {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_dropped_wait_on_a_connection_is_canceled_and_the_connection_goes_on() {
    let db = database();
    let mut holder = connect(&db).await;
    let held = pglock::advisory(LOCK)
        .on_async(&mut holder)
        .acquire()
        .await
        .unwrap();
    let mut client = connect(&db).await;
    for round in 0..10 {
        let lock = pglock::advisory(LOCK).timeout(Duration::from_secs(60));
        drop_after(
            lock.on_async(&mut client).acquire(),
            Duration::from_millis(round % 10),
        )
        .await;
        assert_sound(&client).await;
        assert_eq!(db.waiting(pglock::advisory_id(LOCK)), 0);
        assert_eq!(db.held(pglock::advisory_id(LOCK)), 1);
    }
    held.release().await.unwrap();
}

#[tokio::test]
async fn a_wait_on_a_connection_that_is_dropped_as_it_is_granted_is_released() {
    let db = database();
    let mut holder = connect(&db).await;
    let mut client = connect(&db).await;
    for round in 0..60 {
        let held = pglock::advisory(LOCK)
            .on_async(&mut holder)
            .acquire()
            .await
            .unwrap();
        let lock = pglock::advisory(LOCK).timeout(Duration::from_secs(60));
        {
            let mut waits = pin!(lock.on_async(&mut client).acquire());
            assert!(futures_poll(waits.as_mut()).await.is_pending());
            wait_until_async("it waits", BOUND, || {
                db.waiting(pglock::advisory_id(LOCK)) == 1
            })
            .await;
            drop(held);
            drop_after(waits, Duration::from_micros(round * 20)).await;
        }
        assert_sound(&client).await;
        wait_until_async("nothing is held", Duration::from_secs(1), || {
            db.advisory_locks().is_empty()
        })
        .await;
    }
}

async fn futures_poll<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[tokio::test]
async fn a_dropped_wait_in_a_transaction_is_canceled_and_the_transaction_goes_on() {
    let db = database();
    let mut holder = connect(&db).await;
    let mut client = connect(&db).await;
    for round in 0..12 {
        let held = pglock::advisory(LOCK)
            .on_async(&mut holder)
            .acquire()
            .await
            .unwrap();
        let mut tx = client.transaction().await.unwrap();
        tx.batch_execute("SET LOCAL lock_timeout = '99s'")
            .await
            .unwrap();
        let lock = pglock::advisory(LOCK).timeout(Duration::from_secs(60));
        {
            let mut waits = pin!(lock.acquire_xact_async(&mut tx));
            assert!(futures_poll(waits.as_mut()).await.is_pending());
            if round % 2 == 0 {
                wait_until_async("it waits", BOUND, || {
                    db.waiting(pglock::advisory_id(LOCK)) == 1
                })
                .await;
            }
            // In every fourth round it is granted, about as it is dropped.
            if round % 4 == 0 {
                drop(held);
                drop_after(waits, Duration::from_micros(round * 20)).await;
            } else {
                drop_after(waits, Duration::from_millis(round % 5)).await;
                drop(held);
            }
        }
        let lock_timeout: String = tx.query_one("SHOW lock_timeout", &[]).await.unwrap().get(0);
        assert_eq!(lock_timeout, "99s");
        tx.commit().await.unwrap();
        wait_until_async("nothing is held", Duration::from_secs(1), || {
            db.advisory_locks().is_empty()
        })
        .await;
    }
}

#[tokio::test]
async fn a_transaction_begun_by_hand_survives_a_dropped_acquire() {
    let db = database();
    let mut client = connect(&db).await;
    for round in 0..30 {
        client.batch_execute("BEGIN").await.unwrap();
        let acquire = pglock::advisory(LOCK).on_async(&mut client).acquire();
        drop_after(acquire, Duration::from_micros(round * 20)).await;
        // Long enough for a cancel to hit it.
        client.simple_query("SELECT pg_sleep(0.05)").await.unwrap();
        client.batch_execute("COMMIT").await.unwrap();
    }
    assert!(db.advisory_locks().is_empty());
}

#[tokio::test]
async fn guards_on_connections_can_be_dropped_at_any_await() {
    let db = database();
    let mut client = connect(&db).await;
    for round in 0..100 {
        let use_it = async {
            let locked = pglock::advisory(LOCK)
                .on_async(&mut client)
                .acquire()
                .await?;
            locked.simple_query("SELECT 1").await.unwrap();
            locked.release().await
        };
        drop_after(use_it, Duration::from_micros(round * 25)).await;
        assert_sound(&client).await;
        assert!(db.advisory_locks().is_empty(), "round {round}");
    }
}
