//! Locks on connections of the caller's.

use pglock_tests::{Key, TestDb, database};
use postgres::Client;

use crate::Failure;

fn pid(client: &mut Client) -> i32 {
    client
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0)
}

/// Fails unless that backend holds that lock, and nobody holds another.
#[track_caller]
fn assert_held_by(db: &TestDb, id: &str, pid: i32) {
    let locks = db.advisory_locks();
    assert_eq!(locks.len(), 1, "{locks:?}");
    assert_eq!(locks[0].key, Key::from(pglock::advisory_id(id)));
    assert_eq!(locks[0].pid, pid);
}

#[test]
fn on_a_client() {
    #[pglock::advisory("client:{id}", client = client)]
    fn run<'i>(client: &mut Client, db: &TestDb, id: &'i str) -> Result<&'i str, Failure> {
        let pid = pid(client);
        assert_held_by(db, "client:x", pid);
        Ok(id)
    }

    struct Holder {
        client: Client,
        runs: u32,
    }

    impl Holder {
        #[pglock::advisory("place", client = self.client)]
        fn run(&mut self, db: &TestDb) -> Result<&mut u32, Failure> {
            assert_held_by(db, "place", pid(&mut self.client));
            self.runs += 1;
            Ok(&mut self.runs)
        }
    }

    let db = database();
    let mut client = db.connect();
    assert_eq!(run(&mut client, &db, "x").unwrap(), "x");
    assert_eq!(db.advisory_locks(), []);
    let mut holder = Holder { client, runs: 0 };
    *holder.run(&db).unwrap() += 1;
    assert_eq!(db.advisory_locks(), []);
    assert_eq!(holder.runs, 2);
}

#[test]
fn in_a_transaction() {
    #[pglock::advisory("transaction", client = tx, xact)]
    fn run(tx: &mut postgres::Transaction<'_>, db: &TestDb) -> Result<i32, Failure> {
        let pid = tx.query_one("SELECT pg_backend_pid()", &[])?.get(0);
        assert_held_by(db, "transaction", pid);
        Ok(pid)
    }

    let db = database();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    let pid = run(&mut tx, &db).unwrap();
    assert_held_by(&db, "transaction", pid);
    tx.commit().unwrap();
    assert_eq!(db.advisory_locks(), []);
}

#[tokio::test]
async fn on_async_connections() {
    async fn pid(client: &(impl tokio_postgres::GenericClient + Sync)) -> i32 {
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
        row.unwrap().get(0)
    }

    #[pglock::advisory("client", client = client)]
    async fn session(client: &mut tokio_postgres::Client, db: &TestDb) -> Result<(), Failure> {
        assert_held_by(db, "client", pid(client).await);
        Ok(())
    }

    #[pglock::advisory("transaction", client = tx, xact)]
    async fn transaction(
        tx: &mut tokio_postgres::Transaction<'_>,
        db: &TestDb,
    ) -> Result<(), Failure> {
        assert_held_by(db, "transaction", pid(tx).await);
        Ok(())
    }

    let db = database();
    let (mut client, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    session(&mut client, &db).await.unwrap();
    assert_eq!(db.advisory_locks(), []);
    let mut tx = client.transaction().await.unwrap();
    transaction(&mut tx, &db).await.unwrap();
    assert_eq!(db.advisory_locks().len(), 1);
    tx.rollback().await.unwrap();
    assert_eq!(db.advisory_locks(), []);
}
