//! The drivers, behind what the tests need of them.

use diesel::connection::SimpleConnection;
use diesel::r2d2::ConnectionManager;
use diesel::{Connection as _, PgConnection, RunQueryDsl};
use pglock::{AnyConnection, Connection, InTransaction};
use pglock_tests::TestDb;
use postgres::{Client, Config, NoTls, Transaction};
use r2d2_postgres::PostgresConnectionManager;
use r2d2_postgres::r2d2::{Pool, PooledConnection};

/// A driver, and a connection of it.
pub(super) trait Driver: Send + 'static {
    type Connection: Connection + AnyConnection + Speaks;
    type Transaction<'t>: InTransaction + AnyConnection + Speaks;

    fn connect_as(db: &TestDb, application_name: &str) -> Self;

    fn connect(db: &TestDb) -> Self
    where
        Self: Sized,
    {
        Self::connect_as(db, "driver")
    }

    fn connection(&mut self) -> &mut Self::Connection;

    /// Runs `body` in a transaction, and commits that, as far as it can be: `body` may leave it aborted, or its session
    /// dead.
    fn transaction<R>(&mut self, body: impl FnOnce(&mut Self::Transaction<'_>) -> R) -> R;

    fn pid(&mut self) -> i32 {
        self.connection().text("pg_backend_pid()").parse().unwrap()
    }
}

/// What tests say on a connection beside pglock.
pub(super) trait Speaks {
    fn execute(&mut self, statements: &str) -> Result<(), String>;

    /// An expression's value.
    fn text(&mut self, expression: &str) -> String;

    fn lock_timeout(&mut self) -> String {
        self.text("current_setting('lock_timeout')")
    }
}

impl Speaks for Client {
    fn execute(&mut self, statements: &str) -> Result<(), String> {
        self.batch_execute(statements)
            .map_err(|error| format!("{error:?}"))
    }

    fn text(&mut self, expression: &str) -> String {
        let row = self.query_one(&format!("SELECT ({expression})::text"), &[]);
        row.unwrap().get(0)
    }
}

impl Speaks for Transaction<'_> {
    fn execute(&mut self, statements: &str) -> Result<(), String> {
        self.batch_execute(statements)
            .map_err(|error| format!("{error:?}"))
    }

    fn text(&mut self, expression: &str) -> String {
        let row = self.query_one(&format!("SELECT ({expression})::text"), &[]);
        row.unwrap().get(0)
    }
}

impl Speaks for PgConnection {
    fn execute(&mut self, statements: &str) -> Result<(), String> {
        self.batch_execute(statements)
            .map_err(|error| format!("{error:?}"))
    }

    fn text(&mut self, expression: &str) -> String {
        let expression = format!("({expression})::text");
        let expression = diesel::dsl::sql::<diesel::sql_types::Text>(&expression);
        diesel::select(expression).get_result(self).unwrap()
    }
}

fn config(db: &TestDb, application_name: &str) -> Config {
    let mut config: Config = db.url().parse().unwrap();
    config.application_name(application_name);
    config
}

fn url(db: &TestDb, application_name: &str) -> String {
    let separator = if db.url().contains('?') { '&' } else { '?' };
    format!("{}{separator}application_name={application_name}", db.url())
}

pub(super) struct Postgres(Client);

impl Driver for Postgres {
    type Connection = Client;
    type Transaction<'t> = Transaction<'t>;

    fn connect_as(db: &TestDb, application_name: &str) -> Self {
        Self(db.connect_as(application_name))
    }

    fn connection(&mut self) -> &mut Client {
        &mut self.0
    }

    fn transaction<R>(&mut self, body: impl FnOnce(&mut Transaction<'_>) -> R) -> R {
        let mut transaction = self.0.transaction().unwrap();
        let result = body(&mut transaction);
        let _ = transaction.commit();
        result
    }
}

pub(super) struct PooledPostgres(PooledConnection<PostgresConnectionManager<NoTls>>);

impl Driver for PooledPostgres {
    type Connection = Client;
    type Transaction<'t> = Transaction<'t>;

    fn connect_as(db: &TestDb, application_name: &str) -> Self {
        let manager = PostgresConnectionManager::new(config(db, application_name), NoTls);
        Self(
            Pool::builder()
                .max_size(1)
                .build(manager)
                .unwrap()
                .get()
                .unwrap(),
        )
    }

    fn connection(&mut self) -> &mut Client {
        &mut self.0
    }

    fn transaction<R>(&mut self, body: impl FnOnce(&mut Transaction<'_>) -> R) -> R {
        let mut transaction = self.0.transaction().unwrap();
        let result = body(&mut transaction);
        let _ = transaction.commit();
        result
    }
}

pub(super) struct Diesel(PgConnection);

impl Driver for Diesel {
    type Connection = PgConnection;
    type Transaction<'t> = PgConnection;

    fn connect_as(db: &TestDb, application_name: &str) -> Self {
        Self(PgConnection::establish(&url(db, application_name)).unwrap())
    }

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    fn transaction<R>(&mut self, body: impl FnOnce(&mut PgConnection) -> R) -> R {
        let mut result = None;
        let _ = self.0.transaction(|connection| {
            result = Some(body(connection));
            diesel::QueryResult::Ok(())
        });
        result.unwrap()
    }
}

pub(super) struct PooledDiesel(PooledConnection<ConnectionManager<PgConnection>>);

impl Driver for PooledDiesel {
    type Connection = PgConnection;
    type Transaction<'t> = PgConnection;

    fn connect_as(db: &TestDb, application_name: &str) -> Self {
        let manager = ConnectionManager::new(url(db, application_name));
        Self(
            Pool::builder()
                .max_size(1)
                .build(manager)
                .unwrap()
                .get()
                .unwrap(),
        )
    }

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    /// The pool's own `transaction`, which lends the pooled object.
    fn transaction<R>(&mut self, body: impl FnOnce(&mut PgConnection) -> R) -> R {
        let mut result = None;
        let _ = self.0.transaction(|connection| {
            result = Some(body(connection));
            diesel::QueryResult::Ok(())
        });
        result.unwrap()
    }
}
