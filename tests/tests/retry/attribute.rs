//! `#[pglock::retry]`.

use pglock::{Database, Error, Terminate};
use pglock_tests::{TestDb, database as empty_database};
use tokio_postgres::NoTls;

use crate::{ALTER, AnyError, Report, assert_names, database, lock_timeout};

fn here(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

#[pglock::retry(tries = 3, using = here, client = client)]
fn alter(
    client: &mut postgres::Client,
    here: &Database,
    statement: String,
    runs: &mut Vec<String>,
) -> Result<usize, AnyError> {
    let altered = client.batch_execute(&statement);
    runs.push(statement);
    altered?;
    Ok(runs.len())
}

#[test]
fn each_try_has_the_arguments_and_the_last_error_names_who_was_in_the_way() {
    let db = database();
    let (report, mut client, here) = (Report::begin(&db), db.connect(), here(&db));
    let mut runs = Vec::new();
    let error = alter(&mut client, &here, ALTER.to_owned(), &mut runs).unwrap_err();
    assert_names(error.downcast_ref().unwrap(), &report);
    assert_eq!(runs, [ALTER; 3]);
    drop(report);
    let done = alter(&mut client, &here, ALTER.to_owned(), &mut runs);
    assert_eq!(done.unwrap(), 4);
    let error = alter(&mut client, &here, "SELECT 1 / 0".to_owned(), &mut runs);
    assert!(error.unwrap_err().is::<postgres::Error>());
    assert_eq!(runs.len(), 5);
    assert_eq!(lock_timeout(&mut client), "0");
}

#[pglock::retry(tries = 3, using = &here)]
async fn alter_async(
    client: &mut tokio_postgres::Client,
    here: Database,
    statement: &str,
) -> Result<(), AnyError> {
    let _ = &here;
    let tx = client.transaction().await?;
    tx.batch_execute(statement).await?;
    Ok(tx.commit().await?)
}

#[tokio::test]
async fn the_async_twin() {
    let db = database();
    let report = Report::begin(&db);
    let (mut client, connection) = tokio_postgres::connect(db.url(), NoTls).await.unwrap();
    tokio::spawn(connection);
    let error = alter_async(&mut client, here(&db), ALTER).await;
    assert_names(error.unwrap_err().downcast_ref().unwrap(), &report);
    client.batch_execute("BEGIN; SELECT 1").await.unwrap();
    let error = alter_async(&mut client, here(&db), ALTER)
        .await
        .unwrap_err();
    assert!(error.downcast_ref::<Error>().unwrap().is_config());
    client.batch_execute("COMMIT").await.unwrap();
    drop(report);
    alter_async(&mut client, here(&db), ALTER).await.unwrap();
}

struct Migrations {
    db: postgres::Client,
    here: Database,
    runs: u32,
}

impl Migrations {
    #[pglock::retry(
        client = self.db,
        using = &self.here,
        tries = 12,
        prioritize_from = 2,
        side_effect = Terminate::new().filter("blocking_activity__application_name=report")?,
    )]
    fn apply(&mut self, statement: String) -> Result<u32, AnyError> {
        self.runs += 1;
        self.db.batch_execute(&statement)?;
        Ok(self.runs)
    }
}

#[test]
fn on_a_place_who_is_in_the_way_is_terminated_from_a_try_on() {
    let db = database();
    let mut report = Report::begin(&db);
    let mut migrations = Migrations {
        db: db.connect(),
        here: here(&db),
        runs: 0,
    };
    assert!(migrations.apply(ALTER.to_owned()).unwrap() > 1);
    report.commit().unwrap_err();
}

#[pglock::advisory("migrations", client = client)]
#[pglock::retry(using = here, tries = 2, on_error = |error| Err(error.to_string().into()))]
#[pglock::timeout("20ms")]
fn under_others(client: &mut postgres::Client, here: &Database) -> Result<(), AnyError> {
    let held = client.query_one(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        &[],
    )?;
    assert_eq!(held.get::<_, i64>(0), 1);
    assert_eq!(lock_timeout(client), "20ms");
    Ok(client.batch_execute(ALTER)?)
}

#[test]
fn it_nests_with_the_others() {
    let db = database();
    let (_report, mut client) = (Report::begin(&db), db.connect());
    let error = under_others(&mut client, &here(&db)).unwrap_err();
    assert!(error.to_string().contains("each of 2 tries"), "{error}");
    db.wait_for_no_locks();
    assert_eq!(lock_timeout(&mut client), "0");
}

#[pglock::retry]
fn panics(client: &mut postgres::Client) -> Result<(), Error> {
    panic!("a test asked for it, with {}", lock_timeout(client))
}

#[test]
fn a_panic_leaves_no_setting_behind() {
    let db = empty_database();
    let mut client = db.connect();
    let run = std::panic::AssertUnwindSafe(|| panics(&mut client));
    let panic = std::panic::catch_unwind(run).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.ends_with("with 100ms"), "{text}");
    assert_eq!(lock_timeout(&mut client), "0");
}

#[test]
fn the_catalog_knows_it() {
    let entry_of = |function: &str| {
        let catalog = pglock::catalog();
        let path = format!("retry::attribute::{function}");
        let mut entries = catalog.iter().filter(|entry| entry.function == path);
        entries.find(|it| it.attribute == "retry").unwrap().clone()
    };
    let entry = entry_of("alter");
    assert_eq!((entry.side_effect, entry.timeout), (None, None));
    assert_eq!(entry_of("under_others").id, None);
}
