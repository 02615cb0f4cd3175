//! The driver `diesel-async`, which is `tokio-postgres` inside and shows of it what diesel shows of libpq.
//!
//! Its future sends a statement at the first poll, whatever is under way. But the answer borrows the connection, so nobody
//! sees it once the future is dropped.

use std::pin::Pin;

use diesel::QueryResult;
use diesel::connection::TransactionManagerStatus;
use diesel_async::{
    AnsiTransactionManager, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection,
    TransactionManager,
};
use futures_util::FutureExt;
use tokio_postgres::CancelToken;

use super::conversation::{self, Query, Statements};
use super::rows::TextRow;
use super::sql;
use crate::drivers::cancel_on_drop::{CancelOnDrop, Cancelable, Sent};
use crate::drivers::clean_up::CancelWait;
use crate::drivers::dropped_wait::Watched;
use crate::drivers::sealed::{Async, AsyncRead};
use crate::drivers::{
    Answered, AnyAsyncConnection, AsyncConnection, AsyncInTransaction, AsyncReader, CleanUp,
    Expected,
};
use crate::error::Failure;
use crate::sql::Rows;
use crate::sql::transaction::ROLLBACK;

#[diagnostic::do_not_recommend]
impl AsyncConnection for AsyncPgConnection {}

#[diagnostic::do_not_recommend]
impl AnyAsyncConnection for AsyncPgConnection {}

/// A transaction of diesel is the connection itself; `expect_transaction` checks whether one is open.
#[diagnostic::do_not_recommend]
impl AsyncInTransaction for AsyncPgConnection {}

#[diagnostic::do_not_recommend]
impl AsyncReader for &AsyncPgConnection {}

impl Statements for &AsyncPgConnection {
    async fn batch(&mut self, sql: &str) -> QueryResult<()> {
        self.batch_execute(sql).await
    }

    fn load(&mut self, query: Query<'_>) -> impl Future<Output = QueryResult<Vec<TextRow>>> + Send {
        query.load(self)
    }
}

impl AsyncRead for &AsyncPgConnection {
    fn read<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
        Box::pin(conversation::query(self, sql, values))
    }
}

impl Async for AsyncPgConnection {
    fn simple_query<'c>(&'c mut self, sql: &'c str) -> Answered<'c> {
        Box::pin(async move {
            let rows = conversation::simple_query(&mut &*self, sql).await;
            if sql == ROLLBACK && rows.is_ok() {
                forget_transaction(self);
            }
            rows
        })
    }

    fn query<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
        Box::pin(async move { conversation::query(&mut &*self, sql, values).await })
    }

    fn simple_query_or<'c>(&'c mut self, sql: &'c str, clean_up: CleanUp) -> Answered<'c> {
        Box::pin(simple_query_or(self, sql, clean_up))
    }

    fn queue(&mut self, sql: &str) {
        Cancelable::queue(self, sql);
        if sql == ROLLBACK {
            forget_transaction(self);
        }
    }

    fn expect_transaction(&mut self) -> Expected<'_> {
        let depth = status(self).transaction_depth();
        Box::pin(async move { conversation::expect_transaction(&mut &*self, depth).await })
    }

    /// The driver does not say; the next statement fails.
    fn is_closed(&self) -> bool {
        false
    }
}

/// Runs the statement, with its clean-up if it is dropped before the answer.
///
/// A cancel must hit neither what is before the wait nor a transaction, where nothing waits. What was sent before a wait is
/// answered first, so no more has to be known when it is dropped.
async fn simple_query_or(
    mut connection: &AsyncPgConnection,
    sql: &str,
    clean_up: CleanUp,
) -> Result<Rows, Failure> {
    match &clean_up.wait {
        None => {}
        Some(CancelWait {
            attempt: Some(attempt),
            ..
        }) => {
            let undo = CleanUp {
                wait: None,
                undo: clean_up.undo.clone(),
            };
            let tried = send_or(connection, attempt, undo).await?;
            if tried.last_bool() != Some(false) {
                return Ok(tried);
            }
        }
        Some(CancelWait { attempt: None, .. }) => {
            if let Err(error) = connection.batch(sql::PROBE).await {
                return Err(conversation::failure(&mut connection, error).await);
            }
        }
    }
    send_or(connection, sql, clean_up).await
}

async fn send_or(
    mut connection: &AsyncPgConnection,
    sql: &str,
    clean_up: CleanUp,
) -> Result<Rows, Failure> {
    let batch = sql::batch(sql);
    let mut sent = CancelOnDrop::new(connection, send(connection, batch.sql), clean_up);
    let done = sent.answer().await?;
    let rows = conversation::answer_of_batch(&mut connection, done, batch.answer).await;
    sent.done();
    rows
}

/// The statements are sent when this is first polled.
struct SentBatch<'c>(Pin<Box<dyn Future<Output = QueryResult<()>> + Send + 'c>>);

fn send(mut connection: &AsyncPgConnection, sql: String) -> SentBatch<'_> {
    SentBatch(Box::pin(async move { connection.batch(&sql).await }))
}

impl Sent for SentBatch<'_> {
    type Rows = ();
    type Error = diesel::result::Error;

    fn answer(&mut self) -> impl Future<Output = QueryResult<()>> + Send {
        self.0.as_mut()
    }

    fn watched(self) -> Watched {
        Watched::default()
    }
}

impl Cancelable for AsyncPgConnection {
    fn queue(&self, sql: &str) {
        drop((&mut &*self).batch_execute(sql).now_or_never());
    }

    fn cancel_token(&self) -> CancelToken {
        AsyncPgConnection::cancel_token(self)
    }
}

fn status(connection: &mut AsyncPgConnection) -> &mut TransactionManagerStatus {
    AnsiTransactionManager::transaction_manager_status_mut(connection)
}

/// After a rollback of pglock's, of what a body left open: unlike diesel, `diesel-async` does not look at the server, and
/// would begin a savepoint instead of a transaction.
fn forget_transaction(connection: &mut AsyncPgConnection) {
    let status = status(connection);
    if let Ok(Some(_)) = status.transaction_depth() {
        *status = TransactionManagerStatus::default();
    }
}
