//! What goes on in a database, seen from another session.

use std::sync::PoisonError;
use std::time::Duration;

use postgres::{Client, Row};

use crate::apart::apart;
use crate::database::{TestDb, connect};
use crate::wait::{BOUND, wait_until};

/// A row of `pg_locks` for an advisory lock, held or waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdvisoryLock {
    /// Which lock.
    pub key: Key,
    /// `ExclusiveLock` or `ShareLock`.
    pub mode: String,
    /// Held, as opposed to waited for.
    pub granted: bool,
    /// The backend that holds it or waits for it.
    pub pid: i32,
}

/// The key of an advisory lock, as `pg_locks` shows it. It comes from an `i64`, a pair of `i32`,
/// and, for one lock ID of 64 bits, from its halves as `pg_locks` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The upper half, or the first of a pair.
    pub classid: u32,
    /// The lower half, or the second of a pair.
    pub objid: u32,
    /// 1 for an `i64`, 2 for a pair of `i32`.
    pub objsubid: i16,
}

impl From<i64> for Key {
    fn from(key: i64) -> Key {
        let bits = key.cast_unsigned();
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).expect("it is 32 bits");
        Key {
            classid: half(bits >> 32),
            objid: half(bits),
            objsubid: 1,
        }
    }
}

impl From<(i32, i32)> for Key {
    fn from((first, second): (i32, i32)) -> Key {
        Key {
            classid: first.cast_unsigned(),
            objid: second.cast_unsigned(),
            objsubid: 2,
        }
    }
}

impl From<(u32, u32)> for Key {
    fn from((classid, objid): (u32, u32)) -> Key {
        Key {
            classid,
            objid,
            objsubid: 1,
        }
    }
}

impl TestDb {
    /// All advisory locks of this database, held and waited for.
    #[must_use]
    #[track_caller]
    pub fn advisory_locks(&self) -> Vec<AdvisoryLock> {
        let rows = self.observe(
            "SELECT classid, objid, objsubid, mode, granted, pid FROM pg_locks
             WHERE locktype = 'advisory'
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             ORDER BY granted DESC, pid, classid, objid, objsubid, mode",
        );
        rows.iter()
            .map(|row| AdvisoryLock {
                key: Key {
                    classid: row.get(0),
                    objid: row.get(1),
                    objsubid: row.get(2),
                },
                mode: row.get(3),
                granted: row.get(4),
                pid: row.get(5),
            })
            .collect()
    }

    /// How many sessions hold that lock.
    #[must_use]
    #[track_caller]
    pub fn held(&self, key: impl Into<Key>) -> usize {
        self.count(key.into(), true)
    }

    /// How many sessions wait for that lock in the server.
    #[must_use]
    #[track_caller]
    pub fn waiting(&self, key: impl Into<Key>) -> usize {
        self.count(key.into(), false)
    }

    /// Waits until exactly `n` sessions wait for advisory locks, whichever.
    #[track_caller]
    pub fn wait_for_waiters(&self, n: usize) {
        let waiters = || {
            self.advisory_locks()
                .iter()
                .filter(|lock| !lock.granted)
                .count()
        };
        wait_until(
            &format!("{n} sessions wait for advisory locks"),
            BOUND,
            || waiters() == n,
        );
    }

    /// Waits, for a second at most, until no advisory lock is held or waited for.
    #[track_caller]
    pub fn wait_for_no_locks(&self) {
        self.wait_for_no_locks_within(Duration::from_secs(1));
    }

    /// Waits until no advisory lock is held or waited for.
    #[track_caller]
    pub fn wait_for_no_locks_within(&self, bound: Duration) {
        let start = std::time::Instant::now();
        loop {
            let left = self.advisory_locks();
            if left.is_empty() {
                return;
            }
            assert!(
                start.elapsed() < bound,
                "advisory locks are left after {bound:?}: {left:#?}"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The backends in this database that wait for a lock of any kind.
    #[must_use]
    #[track_caller]
    pub fn blocked_pids(&self) -> Vec<i32> {
        pids(&self.observe(
            "SELECT DISTINCT l.pid FROM pg_locks l JOIN pg_stat_activity s ON s.pid = l.pid
             WHERE NOT l.granted AND s.datname = current_database() ORDER BY 1",
        ))
    }

    /// The backends that this one waits for.
    #[must_use]
    #[track_caller]
    pub fn blocking_pids(&self, pid: i32) -> Vec<i32> {
        pids(&self.observe(&format!(
            "SELECT DISTINCT unnest(pg_blocking_pids({pid})) ORDER BY 1"
        )))
    }

    /// The backends in this database with an `application_name` like that.
    #[must_use]
    #[track_caller]
    pub fn backends_named(&self, application_name: &str) -> Vec<i32> {
        pids(&self.observe(&format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
               AND application_name LIKE '{}' ORDER BY backend_start, pid",
            application_name.replace('\'', "''")
        )))
    }

    /// The statement of a backend, current or latest, as `pg_stat_activity` keeps it.
    #[must_use]
    #[track_caller]
    pub fn statement_of(&self, pid: i32) -> String {
        let sql = format!("SELECT query FROM pg_stat_activity WHERE pid = {pid}");
        let rows = self.observe(&sql);
        rows.first().expect("the backend is gone").get(0)
    }

    /// Ends a backend, and returns when it is gone.
    #[track_caller]
    pub fn terminate(&self, pid: i32) {
        self.observe(&format!("SELECT pg_terminate_backend({pid})"));
        wait_until(&format!("backend {pid} is gone"), BOUND, || {
            self.observe(&format!("SELECT FROM pg_stat_activity WHERE pid = {pid}"))
                .is_empty()
        });
    }

    /// Runs statements, for what a test needs to be there, in a session of their own.
    #[track_caller]
    pub fn execute(&self, statements: &str) {
        let url = self.url();
        let result = apart(|| connect(url, "pglock-tests")?.batch_execute(statements));
        if let Err(error) = result {
            panic!("{statements}: {error:?}");
        }
    }

    #[track_caller]
    fn count(&self, key: Key, granted: bool) -> usize {
        self.advisory_locks()
            .iter()
            .filter(|lock| lock.key == key && lock.granted == granted)
            .count()
    }

    /// The rows of a query, by the session that looks on. That is a session of its own, opened
    /// on first use, and again when it was lost (the server was stopped, say).
    #[track_caller]
    fn observe(&self, query: &str) -> Vec<Row> {
        let mut observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner);
        let (url, observer) = (self.url(), &mut observer.0);
        let result = apart(|| {
            if let Some(client) = observer {
                match client.query(query, &[]) {
                    Err(_) if client.is_closed() => {}
                    result => return result,
                }
            }
            let client: &mut Client = observer.insert(connect(url, "pglock-tests observer")?);
            client.query(query, &[])
        });
        match result {
            Ok(rows) => rows,
            Err(error) => panic!("can't observe {url}: {error:?}"),
        }
    }
}

fn pids(rows: &[Row]) -> Vec<i32> {
    rows.iter().map(|row| row.get(0)).collect()
}
