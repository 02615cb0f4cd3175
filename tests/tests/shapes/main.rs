//! Annotated functions of every shape, called: the lock is held in the body, seen from another session, and released
//! afterwards. (`unsafe fn` compiles, see `trybuild`; it is forbidden here.)

mod arguments;
mod connections;
mod functions;
mod lock_ids;
mod outcomes;
mod sizes;

use pglock::Database;
use pglock_tests::{TestDb, database};
use postgres::Client;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A database of a test's own, and pglock's handle for it.
struct Place {
    db: TestDb,
    here: Database,
}

impl Place {
    fn new() -> Self {
        let db = database();
        let here = Database::builder(db.url()).build().unwrap();
        Self { db, here }
    }

    /// Fails unless exactly these locks are held.
    #[track_caller]
    fn assert_held<const N: usize>(&self, ids: [&str; N]) {
        for id in ids {
            assert_eq!(self.db.held(pglock::advisory_id(id)), 1, "{id}");
        }
        assert_eq!(self.db.advisory_locks().len(), N);
    }

    #[track_caller]
    fn assert_released(&self) {
        assert_eq!(self.db.advisory_locks(), []);
    }

    /// A session that holds a lock until it is dropped.
    fn held_elsewhere(&self, key: i64) -> Client {
        let mut client = self.db.connect();
        client
            .execute("SELECT pg_advisory_lock($1)", &[&key])
            .unwrap();
        client
    }
}
