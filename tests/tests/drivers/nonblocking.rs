//! The async drivers. Each promise is written once, and is a test for each driver: see `for_each_driver`.

mod cancels;
mod diesel_async;
mod dropped;
mod locks;
mod names;
mod on_diesel_async;
mod on_sea_orm;
mod prioritized;
mod scopes;
mod sessions;
mod transactions;
mod waits;

use std::future::{Future, poll_fn};
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::str::FromStr;
use std::task::Poll;

use pglock::{AnyAsyncConnection, AsyncConnection, AsyncInTransaction};
use pglock_tests::{BOUND, TestDb, wait_until_async};
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgConnection, Postgres, Row as _, ValueRef as _};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A driver, and the way in which its connections are passed.
pub(crate) trait Driver {
    /// What its user owns.
    type Session;
    /// What is passed to pglock.
    type Connection: AsyncConnection + AnyAsyncConnection + Ask + Begin;
    /// What becomes of a wait that is dropped.
    const DROPPED_WAIT: DroppedWait;

    async fn open_at(url: &str) -> Self::Session;
    fn connection(session: &mut Self::Session) -> &mut Self::Connection;

    async fn open(db: &TestDb) -> Self::Session {
        Self::open_at(db.url()).await
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum DroppedWait {
    /// It is canceled in the server.
    Canceled,
    /// It ends when it is granted, or by its timeout.
    EndsByItself,
    /// So it does, but its connection is closed when it is dropped, and then the server ends it.
    Closed,
}

/// A transaction of a driver that has a type for it.
pub(crate) struct Begun<T>(T);

impl<T> Deref for Begun<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Begun<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// Runs statements as the driver's user does.
pub(crate) trait Ask {
    /// The first column of the last row, or the SQLSTATE, which is empty where the server gave none.
    async fn ask(&mut self, sql: &str) -> Result<Option<String>, String>;
}

pub(crate) trait Begin {
    /// Derefs to what is passed to pglock.
    type Transaction<'c>: DerefMut<Target: AsyncInTransaction + AnyAsyncConnection + Ask + Sized>
        + Commit
    where
        Self: 'c;

    async fn begin_transaction(&mut self) -> Self::Transaction<'_>;
}

pub(crate) trait Commit {
    async fn commit_transaction(self);
}

macro_rules! suite {
    ($name:ident, $driver:ty, $($scenario:ident)*) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $scenario() {
                    super::$scenario::<$driver>().await;
                }
            )*
        }
    };
}

/// Makes each scenario, an `async fn` that is generic over [`Driver`], a test for each of them.
macro_rules! for_each_driver {
    ($($scenario:ident)*) => {
        $crate::nonblocking::suite!(tokio_postgres_client, crate::nonblocking::TokioPostgres, $($scenario)*);
        $crate::nonblocking::suite!(deadpool_postgres, crate::nonblocking::Deadpool, $($scenario)*);
        $crate::nonblocking::suite!(bb8_postgres, crate::nonblocking::Bb8, $($scenario)*);
        $crate::nonblocking::suite!(diesel_async_connection, crate::nonblocking::DieselAsync, $($scenario)*);
        $crate::nonblocking::suite!(diesel_async_bb8, crate::nonblocking::DieselAsyncBb8, $($scenario)*);
        $crate::nonblocking::suite!(sqlx_connection, crate::nonblocking::Sqlx, $($scenario)*);
        $crate::nonblocking::suite!(sqlx_pool_lends, crate::nonblocking::SqlxPoolLends, $($scenario)*);
        $crate::nonblocking::suite!(sqlx_pool, crate::nonblocking::SqlxPool, $($scenario)*);
    };
}

pub(crate) use diesel_async::{DieselAsync, DieselAsyncBb8};
use {for_each_driver, suite};

/// `&mut client`.
pub(crate) struct TokioPostgres;

impl Driver for TokioPostgres {
    type Session = Client;
    type Connection = Client;
    const DROPPED_WAIT: DroppedWait = DroppedWait::Canceled;

    async fn open_at(url: &str) -> Client {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    fn connection(session: &mut Client) -> &mut Client {
        session
    }
}

/// `&mut **object`: the pool wraps the client twice.
pub(crate) struct Deadpool;

impl Driver for Deadpool {
    type Session = deadpool_postgres::Object;
    type Connection = Client;
    const DROPPED_WAIT: DroppedWait = DroppedWait::Canceled;

    async fn open_at(url: &str) -> Self::Session {
        let config = tokio_postgres::Config::from_str(url).unwrap();
        let manager = deadpool_postgres::Manager::new(config, NoTls);
        let pool = deadpool_postgres::Pool::builder(manager).max_size(1);
        pool.build().unwrap().get().await.unwrap()
    }

    fn connection(session: &mut Self::Session) -> &mut Client {
        session
    }
}

type Bb8Manager = bb8_postgres::PostgresConnectionManager<NoTls>;

/// `&mut *connection`.
pub(crate) struct Bb8;

impl Driver for Bb8 {
    type Session = bb8_postgres::bb8::PooledConnection<'static, Bb8Manager>;
    type Connection = Client;
    const DROPPED_WAIT: DroppedWait = DroppedWait::Canceled;

    async fn open_at(url: &str) -> Self::Session {
        let manager = Bb8Manager::new_from_stringlike(url, NoTls).unwrap();
        let pool = bb8_postgres::bb8::Pool::builder().max_size(1);
        let pool = pool.build(manager).await.unwrap();
        pool.get_owned().await.unwrap()
    }

    fn connection(session: &mut Self::Session) -> &mut Client {
        session
    }
}

/// `&mut connection`.
pub(crate) struct Sqlx;

impl Driver for Sqlx {
    type Session = PgConnection;
    type Connection = PgConnection;
    const DROPPED_WAIT: DroppedWait = DroppedWait::EndsByItself;

    async fn open_at(url: &str) -> PgConnection {
        PgConnection::connect(url).await.unwrap()
    }

    fn connection(session: &mut PgConnection) -> &mut PgConnection {
        session
    }
}

async fn sqlx_pool(url: &str) -> PoolConnection<Postgres> {
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(url).await.unwrap();
    pool.acquire().await.unwrap()
}

/// `&mut *connection`.
pub(crate) struct SqlxPoolLends;

impl Driver for SqlxPoolLends {
    type Session = PoolConnection<Postgres>;
    type Connection = PgConnection;
    const DROPPED_WAIT: DroppedWait = DroppedWait::EndsByItself;

    async fn open_at(url: &str) -> PoolConnection<Postgres> {
        sqlx_pool(url).await
    }

    fn connection(session: &mut PoolConnection<Postgres>) -> &mut PgConnection {
        session
    }
}

/// `&mut connection`.
pub(crate) struct SqlxPool;

impl Driver for SqlxPool {
    type Session = PoolConnection<Postgres>;
    type Connection = PoolConnection<Postgres>;
    const DROPPED_WAIT: DroppedWait = DroppedWait::Closed;

    async fn open_at(url: &str) -> PoolConnection<Postgres> {
        sqlx_pool(url).await
    }

    fn connection(session: &mut PoolConnection<Postgres>) -> &mut PoolConnection<Postgres> {
        session
    }
}

async fn ask_tokio_postgres(client: &Client, sql: &str) -> Result<Option<String>, String> {
    let messages = client.simple_query(sql).await.map_err(|error| {
        let code = error.code().map(|code| code.code().to_owned());
        code.unwrap_or_default()
    })?;
    let row = messages.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
        _ => None,
    });
    Ok(row.flatten())
}

async fn ask_sqlx(connection: &mut PgConnection, sql: &str) -> Result<Option<String>, String> {
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_all(connection)
        .await
        .map_err(|error| {
            let error = error.into_database_error();
            let code = error.as_ref().and_then(|error| error.code());
            code.unwrap_or_default().into_owned()
        })?;
    Ok(rows.last().and_then(|row| {
        let value = row.try_get_raw(0).unwrap();
        (!value.is_null()).then(|| value.as_str().unwrap().to_owned())
    }))
}

macro_rules! ask {
    ($connection:ty, $ask:ident) => {
        impl Ask for $connection {
            async fn ask(&mut self, sql: &str) -> Result<Option<String>, String> {
                $ask(self, sql).await
            }
        }
    };
}

ask!(Client, ask_tokio_postgres);
ask!(PgConnection, ask_sqlx);
ask!(PoolConnection<Postgres>, ask_sqlx);
ask!(sqlx::Transaction<'_, Postgres>, ask_sqlx);

impl Ask for tokio_postgres::Transaction<'_> {
    async fn ask(&mut self, sql: &str) -> Result<Option<String>, String> {
        ask_tokio_postgres(self.client(), sql).await
    }
}

impl Begin for Client {
    type Transaction<'c> = Begun<tokio_postgres::Transaction<'c>>;

    async fn begin_transaction(&mut self) -> Self::Transaction<'_> {
        Begun(self.transaction().await.unwrap())
    }
}

impl Commit for Begun<tokio_postgres::Transaction<'_>> {
    async fn commit_transaction(self) {
        self.0.commit().await.unwrap();
    }
}

impl Begin for PgConnection {
    type Transaction<'c> = Begun<sqlx::Transaction<'c, Postgres>>;

    async fn begin_transaction(&mut self) -> Self::Transaction<'_> {
        Begun(self.begin().await.unwrap())
    }
}

impl Begin for PoolConnection<Postgres> {
    type Transaction<'c> = Begun<sqlx::Transaction<'c, Postgres>>;

    async fn begin_transaction(&mut self) -> Self::Transaction<'_> {
        Begun(self.begin().await.unwrap())
    }
}

impl Commit for Begun<sqlx::Transaction<'_, Postgres>> {
    async fn commit_transaction(self) {
        self.0.commit().await.unwrap();
    }
}

pub(crate) fn key(name: &str) -> (u32, u32) {
    pglock::advisory_id(name)
}

pub(crate) async fn shown(connection: &mut impl Ask, setting: &str) -> String {
    let shown = connection.ask(&format!("SHOW {setting}")).await;
    shown.unwrap().unwrap()
}

pub(crate) async fn pid(connection: &mut impl Ask) -> i32 {
    let pid = connection.ask("SELECT pg_backend_pid()").await;
    pid.unwrap().unwrap().parse().unwrap()
}

pub(crate) async fn wait_for_no_locks(db: &TestDb) {
    wait_until_async("no advisory lock is held or waited for", BOUND, || {
        db.advisory_locks().is_empty()
    })
    .await;
}

/// Drives `future` until `so` is seen from another session, and drops it then, before it is done.
pub(crate) async fn drop_once<F: Future>(what: &str, future: F, so: impl FnMut() -> bool) {
    tokio::select! {
        biased;
        _ = future => panic!("done, and not dropped: {what}"),
        () = wait_until_async(what, BOUND, so) => {}
    }
}

/// Polls `future` that many times, each after it was woken, and drops it. Whether it was done by then.
pub(crate) async fn drop_after_polls(polls: usize, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
