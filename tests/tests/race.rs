//! A timeout never leaves the lock held: hostile timeouts, at the moment when the lock is granted.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::sql_types::Text;
use diesel::{Connection as _, PgConnection, RunQueryDsl};
use pglock::{Connection, Database, Error};
use pglock_tests::{TestDb, database};

const WORKERS: usize = 8;
const TIMEOUTS: usize = 5_000;

/// What the workers saw together.
#[derive(Default)]
struct Seen {
    inside: AtomicBool,
    overlaps: AtomicUsize,
    granted: AtomicUsize,
    timeouts: AtomicUsize,
}

impl Seen {
    fn finished(&self) -> bool {
        self.timeouts.load(Ordering::Relaxed) >= TIMEOUTS
    }

    /// The critical section, about as long as the timeouts.
    fn body(&self, worker: usize) {
        self.granted.fetch_add(1, Ordering::Relaxed);
        if self.inside.swap(true, Ordering::SeqCst) {
            self.overlaps.fetch_add(1, Ordering::Relaxed);
        }
        let micros = 500 + 300 * u64::try_from(worker).unwrap();
        std::thread::sleep(Duration::from_micros(micros));
        self.inside.store(false, Ordering::SeqCst);
    }

    fn count(&self, result: Result<(), Error>) {
        match result {
            Ok(()) => {}
            Err(error) if error.is_busy() => {
                self.timeouts.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("{error}: {error:?}"),
        }
    }

    fn assert_clean(&self, db: &TestDb) {
        let granted = self.granted.load(Ordering::Relaxed);
        assert!(
            granted > TIMEOUTS / 100,
            "only {granted} were granted, so nothing raced"
        );
        assert_eq!(self.overlaps.load(Ordering::Relaxed), 0);
        assert_eq!(db.advisory_locks(), vec![]);
    }
}

/// 1 to 3 ms, in an order that differs from worker to worker.
fn timeouts(worker: usize) -> impl Iterator<Item = Duration> {
    (worker..).map(|n| Duration::from_millis(1 + u64::try_from(n * 7 / 3 % 3).unwrap()))
}

/// What a worker returns is kept until the end: a connection that closed would have released what was left on it.
fn race<T: Send>(db: &TestDb, worker: impl Fn(usize, &Seen) -> T + Sync) {
    let seen = Seen::default();
    let kept: Vec<T> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|number| {
                let (worker, seen) = (&worker, &seen);
                scope.spawn(move || worker(number, seen))
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    seen.assert_clean(db);
    drop(kept);
}

#[test]
fn timeouts_on_sessions_of_pglock_leave_nothing_held() {
    let db = database();
    race(&db, |worker, seen| {
        // Settings that differ make databases of their own, which wait for each other in the server.
        let here = Database::builder(db.url())
            .application_name(format!("racer {worker}"))
            .build()
            .unwrap();
        for timeout in timeouts(worker) {
            if seen.finished() {
                break;
            }
            let lock = pglock::advisory("race").using(&here).timeout(timeout);
            seen.count(lock.run(|| {
                seen.body(worker);
                Ok(())
            }));
        }
    });
}

#[test]
fn timeouts_on_connections_of_the_callers_leave_nothing_held() {
    race_on_connections(TestDb::connect);
}

#[test]
fn timeouts_on_connections_of_diesel_leave_nothing_held() {
    race_on_connections(connect_diesel);
}

fn race_on_connections<C: Connection + Send>(connect: impl Fn(&TestDb) -> C + Sync) {
    let db = database();
    race(&db, |worker, seen| {
        let mut client = connect(&db);
        for timeout in timeouts(worker) {
            if seen.finished() {
                break;
            }
            let acquired = pglock::advisory("race")
                .timeout(timeout)
                .on(&mut client)
                .acquire();
            seen.count(acquired.and_then(|guard| {
                seen.body(worker);
                guard.release()
            }));
        }
        client
    });
}

fn connect_diesel(db: &TestDb) -> PgConnection {
    PgConnection::establish(db.url()).unwrap()
}

#[test]
fn timeouts_in_transactions_leave_nothing_held_and_the_transaction_usable() {
    let db = database();
    race(&db, |worker, seen| {
        let mut client = db.connect();
        client.batch_execute("SET lock_timeout = '123s'").unwrap();
        for timeout in timeouts(worker) {
            if seen.finished() {
                break;
            }
            let mut tx = client.transaction().unwrap();
            let acquired = pglock::advisory("race")
                .timeout(timeout)
                .acquire_xact(&mut tx);
            seen.count(acquired.map(|()| seen.body(worker)));
            let lock_timeout: String = tx.query_one("SHOW lock_timeout", &[]).unwrap().get(0);
            assert_eq!(lock_timeout, "123s");
            tx.commit().unwrap();
        }
        client
    });
}

#[test]
fn timeouts_in_transactions_of_diesel_leave_nothing_held_and_the_transaction_usable() {
    let db = database();
    race(&db, |worker, seen| {
        let mut client = connect_diesel(&db);
        client.batch_execute("SET lock_timeout = '123s'").unwrap();
        for timeout in timeouts(worker) {
            if seen.finished() {
                break;
            }
            let in_transaction = client.transaction(|tx| {
                let lock = pglock::advisory("race").timeout(timeout);
                seen.count(lock.acquire_xact(tx).map(|()| seen.body(worker)));
                let lock_timeout = sql::<Text>("current_setting('lock_timeout')");
                diesel::select(lock_timeout).get_result::<String>(tx)
            });
            assert_eq!(in_transaction.unwrap(), "123s");
        }
        client
    });
}
