//! The async twin.

use pglock::{Error, Terminate};
use pglock_tests::{BOUND, TestDb, wait_until};
use sqlx::Connection as _;
use tokio::runtime::{self, Runtime};
use tokio_postgres::{Client, NoTls};

use crate::{ALTER, AnyError, Report, assert_names, database, retry};

fn executor() -> Runtime {
    runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

async fn connect(db: &TestDb) -> Client {
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn one(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn alter(client: &mut Client) -> Result<(), AnyError> {
    let tx = client.transaction().await?;
    tx.batch_execute(ALTER).await?;
    Ok(tx.commit().await?)
}

#[test]
fn it_names_who_was_in_the_way_and_succeeds_once_that_lets_go() {
    let db = database();
    let mut report = Report::begin(&db);
    executor().block_on(async {
        let mut client = connect(&db).await;
        let run = retry(&db).tries(9).run_async(&mut client, alter).await;
        assert_names(run.unwrap_err().downcast_ref().unwrap(), &report);
        assert_eq!(one(&client, "SHOW lock_timeout").await, "0");
        let mut runs = 0;
        let run = retry(&db).run_async(&mut client, async |client| -> Result<(), AnyError> {
            runs += 1;
            if runs == 3 {
                report.commit().unwrap();
            }
            alter(client).await
        });
        run.await.unwrap();
        assert_eq!(runs, 3);
    });
}

#[test]
fn from_the_given_try_on_who_is_in_the_way_is_terminated() {
    let db = database();
    let mut report = Report::begin(&db);
    executor().block_on(async {
        let mut client = connect(&db).await;
        let retry = retry(&db).tries(12).prioritize_from(2, Terminate);
        retry.run_async(&mut client, alter).await.unwrap();
        report.commit().unwrap_err();
    });
}

#[test]
fn it_refuses_to_run_in_a_transaction_of_the_callers() {
    let db = database();
    executor().block_on(async {
        let mut client = connect(&db).await;
        client.batch_execute("BEGIN; SELECT 1").await.unwrap();
        let run = retry(&db).run_async(&mut client, alter).await;
        let error = run.unwrap_err();
        assert!(error.downcast_ref::<Error>().unwrap().is_config());
        client.batch_execute("SELECT 1; COMMIT").await.unwrap();
        assert_eq!(one(&client, "SHOW lock_timeout").await, "0");
    });
}

#[test]
fn a_dropped_future_leaves_no_setting_behind() {
    let (db, executor) = (database(), executor());
    let _report = Report::begin(&db);
    let mut client = executor.block_on(connect(&db));
    executor.block_on(async {
        client.batch_execute("SET lock_timeout = '7s'").await.unwrap();
        let pid: i32 = one(&client, "SELECT pg_backend_pid()::text").await.parse().unwrap();
        let waits = || db.blocked_pids().contains(&pid);
        let mut run = Box::pin(retry(&db).run_async(&mut client, alter));
        // It is dropped while it waits for the table.
        loop {
            tokio::select! {
                biased;
                _ = &mut run => panic!("nobody lets go"),
                () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
            }
            if waits() {
                break;
            }
        }
        drop(run);
        assert_eq!(one(&client, "SHOW lock_timeout").await, "7s");
        let state = "SELECT count(*)::text FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'orders'::regclass";
        assert_eq!(one(&client, state).await, "0");
    });
}

/// A spawned task needs a future that is `Send`.
#[test]
fn with_an_async_fn_as_the_body_it_can_be_spawned() {
    let (db, executor) = (database(), executor());
    let mut report = Report::begin(&db);
    let mut client = executor.block_on(connect(&db));
    let retry = retry(&db);
    let task = executor.spawn(async move { retry.run_async(&mut client, alter).await });
    wait_until("it waits", BOUND, || !db.blocked_pids().is_empty());
    report.commit().unwrap();
    executor.block_on(task).unwrap().unwrap();
}

#[test]
fn on_connections_of_sqlx() {
    /// What wraps an error of sqlx's and passes on its source.
    #[derive(Debug)]
    struct Transparent(sqlx::Error);

    impl std::fmt::Display for Transparent {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fmt(f)
        }
    }

    impl std::error::Error for Transparent {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.0.source()
        }
    }

    impl From<Error> for Transparent {
        fn from(error: Error) -> Self {
            Self(error.into())
        }
    }

    let db = database();
    let report = Report::begin(&db);
    executor().block_on(async {
        let mut connection = sqlx::PgConnection::connect(db.url()).await.unwrap();
        let mut runs = 0;
        let mut body = async |connection: &mut sqlx::PgConnection| -> Result<(), sqlx::Error> {
            runs += 1;
            let mut tx = connection.begin().await?;
            sqlx::query(ALTER).execute(&mut *tx).await?;
            tx.commit().await
        };
        let run = retry(&db).tries(9).run_async(&mut connection, &mut body);
        let error = run.await.unwrap_err();
        assert_names(Error::find(&error).unwrap(), &report);
        let run = retry(&db)
            .tries(9)
            .run_async(&mut connection, async |connection| {
                body(connection).await.map_err(Transparent)
            });
        let error = run.await.unwrap_err();
        assert_names(Error::find(&error).unwrap(), &report);
        assert_eq!(runs, 18);
    });
}
