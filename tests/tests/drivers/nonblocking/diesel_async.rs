//! The driver `diesel-async`, for the suite. Its transactions have no type of their own.

use std::ops::{Deref, DerefMut};

use diesel::connection::TransactionManagerStatus;
use diesel::deserialize::{self, QueryableByName};
use diesel::pg::Pg;
use diesel::row::{Field as _, NamedRow, Row};
use diesel::sql_query;
use diesel_async::pooled_connection::AsyncDieselConnectionManager;
use diesel_async::pooled_connection::bb8::{Pool, PooledConnection};
use diesel_async::{
    AnsiTransactionManager, AsyncConnection as _, AsyncPgConnection, RunQueryDsl as _,
    SimpleAsyncConnection as _, TransactionManager,
};
use futures_util::FutureExt as _;

use super::{Ask, Begin, Commit, Driver, DroppedWait};

/// `&mut connection`.
pub(crate) struct DieselAsync;

impl Driver for DieselAsync {
    type Session = AsyncPgConnection;
    type Connection = AsyncPgConnection;
    const DROPPED_WAIT: DroppedWait = DroppedWait::Canceled;

    async fn open_at(url: &str) -> AsyncPgConnection {
        AsyncPgConnection::establish(url).await.unwrap()
    }

    fn connection(session: &mut AsyncPgConnection) -> &mut AsyncPgConnection {
        session
    }
}

/// `&mut *connection`.
pub(crate) struct DieselAsyncBb8;

impl Driver for DieselAsyncBb8 {
    type Session = PooledConnection<'static, AsyncPgConnection>;
    type Connection = AsyncPgConnection;
    const DROPPED_WAIT: DroppedWait = DroppedWait::Canceled;

    async fn open_at(url: &str) -> Self::Session {
        let manager = AsyncDieselConnectionManager::new(url);
        let pool = Pool::builder().max_size(1);
        let pool = pool.build(manager).await.unwrap();
        pool.get_owned().await.unwrap()
    }

    fn connection(session: &mut Self::Session) -> &mut AsyncPgConnection {
        session
    }
}

/// The first column, of the types that are asked for here.
struct First(Option<String>);

impl QueryableByName<Pg> for First {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        let field = Row::get(row, 0);
        let value = field.as_ref().and_then(|field| field.value());
        let text = value.map(|value| match (value.get_oid().get(), value.as_bytes()) {
            (20, bytes) => i64::from_be_bytes(bytes.try_into().unwrap()).to_string(),
            (23, bytes) => i32::from_be_bytes(bytes.try_into().unwrap()).to_string(),
            (_, bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        });
        Ok(Self(text))
    }
}

impl Ask for AsyncPgConnection {
    /// Only single statements have rows. Those whose rows nobody wants are sent at the first poll.
    async fn ask(&mut self, sql: &str) -> Result<Option<String>, String> {
        let one = !sql.contains([';']) && (sql.starts_with("SELECT") || sql.starts_with("SHOW"));
        if !one || sql.contains("pg_sleep") {
            let done = self.batch_execute(sql).await;
            return done.map(|()| None).map_err(|_| String::new());
        }
        let rows: Result<Vec<First>, _> = sql_query(sql).load(self).await;
        let mut rows = rows.map_err(|_| String::new())?;
        Ok(rows.pop().and_then(|First(column)| column))
    }
}

impl Begin for AsyncPgConnection {
    type Transaction<'c> = Transaction<'c>;

    async fn begin_transaction(&mut self) -> Transaction<'_> {
        AnsiTransactionManager::begin_transaction(self)
            .await
            .unwrap();
        Transaction(self)
    }
}

/// One that is open, and is rolled back when it is dropped, as those of other drivers.
pub(crate) struct Transaction<'c>(&'c mut AsyncPgConnection);

impl Deref for Transaction<'_> {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        self.0
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        self.0
    }
}

impl Commit for Transaction<'_> {
    async fn commit_transaction(self) {
        AnsiTransactionManager::commit_transaction(&mut *self.0)
            .await
            .unwrap();
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        let status = AnsiTransactionManager::transaction_manager_status_mut(self.0);
        if let Ok(Some(_)) = status.transaction_depth() {
            *status = TransactionManagerStatus::default();
            drop(self.0.batch_execute("ROLLBACK").now_or_never());
        }
    }
}
