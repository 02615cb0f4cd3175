//! Which errors of a body are those of a lock that timed out.

use std::error::Error as StdError;
use std::fmt;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use pglock::{BodyError, Database, Error};
use pglock_tests::TestDb;
use postgres::Client;
use postgres::error::SqlState;

use crate::{ALTER, AnyError, Report, SECOND, assert_names, database, lock_timeout, retry};

/// How often a body runs whose statement fails with this error.
fn runs<E, Form>(db: &TestDb, statement: &str) -> (usize, E)
where
    E: From<Error> + From<postgres::Error> + BodyError<Form>,
{
    let mut runs = 0;
    let body = |client: &mut Client| -> Result<(), E> {
        runs += 1;
        Ok(client.batch_execute(statement)?)
    };
    let mut client = db.connect();
    let failed = retry(db).tries(9).run(&mut client, body);
    assert_eq!(lock_timeout(&mut client), "0");
    match failed {
        Err(error) => (runs, error),
        Ok(()) => panic!("nobody was in the way"),
    }
}

/// An error type of the user's, whose source is what has failed.
#[derive(Debug)]
enum Failed {
    Lock(Error),
    Driver(postgres::Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Lock(error)
    }
}

impl From<postgres::Error> for Failed {
    fn from(error: postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the migration failed")
    }
}

impl StdError for Failed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(match self {
            Self::Lock(error) => error,
            Self::Driver(error) => error,
        })
    }
}

#[test]
fn a_lock_that_timed_out_is_seen_in_whatever_wraps_it() {
    let db = database();
    let report = Report::begin(&db);
    let (times, error) = runs::<Box<dyn StdError>, _>(&db, ALTER);
    assert_eq!(times, 9);
    assert_names(error.downcast_ref().unwrap(), &report);
    let (times, error) = runs::<AnyError, _>(&db, ALTER);
    assert_eq!(times, 9);
    assert_names(error.downcast_ref().unwrap(), &report);
    let (times, error) = runs::<anyhow::Error, _>(&db, ALTER);
    assert_eq!(times, 9);
    assert_names(error.downcast_ref().unwrap(), &report);
    let (times, error) = runs::<Failed, _>(&db, ALTER);
    assert_eq!(times, 9);
    assert_names(Error::find(&error).unwrap(), &report);
    let no_wait = "BEGIN; LOCK TABLE orders NOWAIT";
    let (times, error) = runs::<Failed, _>(&db, no_wait);
    assert!(times == 9 && Error::find(&error).unwrap().is_busy());
}

#[test]
fn an_error_of_another_kind_is_returned_at_once_as_it_is() {
    let db = database();
    let (once, error) = runs::<anyhow::Error, _>(&db, "SELECT 1 / 0");
    assert_eq!(once, 1);
    let error: &postgres::Error = error.downcast_ref().unwrap();
    assert_eq!(error.code(), Some(&SqlState::DIVISION_BY_ZERO));
    let canceled = "SET statement_timeout = '20ms'; SELECT pg_sleep(10)";
    let (once, error) = runs::<Failed, _>(&db, canceled);
    assert!(once == 1 && matches!(error, Failed::Driver(_)), "{error:?}");
}

#[test]
fn a_busy_lock_of_pglocks_is_one_and_its_holder_is_that_of_its_error() {
    let db = database();
    let here = Database::builder(db.url()).build().unwrap();
    let (mut report, mut client) = (db.connect_as("report"), db.connect());
    let held = pglock::advisory(1).on(&mut report).acquire().unwrap();
    let mut runs = 0;
    let run = retry(&db)
        .tries(2)
        .run(&mut client, |_| -> Result<(), Error> {
            runs += 1;
            let lock = pglock::advisory(1).using(&here).timeout(SECOND / 100);
            lock.acquire()?.release()
        });
    let error = run.unwrap_err();
    assert_eq!(runs, 2);
    assert!(error.to_string().contains("each of 2 tries"), "{error}");
    assert_eq!(error.holder().unwrap().application_name, "report");
    held.release().unwrap();
}

#[test]
fn on_connections_of_diesel() {
    let db = database();
    let report = Report::begin(&db);
    let mut connection = PgConnection::establish(db.url()).unwrap();
    let mut runs = 0;
    let mut alter = |connection: &mut PgConnection| {
        connection.transaction(|connection| -> Result<(), anyhow::Error> {
            runs += 1;
            Ok(connection.batch_execute(ALTER)?)
        })
    };
    let error = retry(&db).tries(2).run(&mut connection, &mut alter);
    assert_names(error.unwrap_err().downcast_ref().unwrap(), &report);
    let in_transaction = connection.transaction(|connection| {
        let run = retry(&db).run(connection, &mut alter);
        assert!(
            run.as_ref()
                .unwrap_err()
                .downcast_ref::<Error>()
                .unwrap()
                .is_config()
        );
        run
    });
    in_transaction.unwrap_err();
    assert_eq!(runs, 2);
}
