//! Transactions of `sea-orm`, which is sqlx inside and hides its connection. Session locks are for a connection of its pool,
//! which is one of sqlx's.
//!
//! It shows no rows of a text with several statements. In a transaction they may be sent one by one, so those before the one
//! with the rows go first.

use std::sync::Arc;

use futures_util::FutureExt;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, RuntimeErr, Statement,
};
use sqlx::{Row as _, ValueRef as _};

use super::sealed::Async;
use super::sqlx::failure;
use super::texts::{from_binary, is_select, parts};
use super::{Answered, AnyAsyncConnection, AsyncInTransaction, CleanUp};
use crate::error::{Error, Failure};
use crate::sql::Rows;

/// Implements a transaction by what its owner and those who share it can do alike.
macro_rules! on_transaction {
    ($transaction:ty) => {
        #[diagnostic::do_not_recommend]
        impl AsyncInTransaction for $transaction {}

        #[diagnostic::do_not_recommend]
        impl AnyAsyncConnection for $transaction {}

        impl Async for $transaction {
            fn simple_query<'c>(&'c mut self, sql: &'c str) -> Answered<'c> {
                Box::pin(simple_query(self, sql))
            }

            fn query<'c>(&'c mut self, sql: &'c str, values: &'c [String]) -> Answered<'c> {
                Box::pin(async move {
                    settle(self).await;
                    let values = values.iter().map(|value| value.as_str().into());
                    let bound = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
                    rows(self, bound).await
                })
            }

            fn simple_query_or<'c>(&'c mut self, sql: &'c str, clean_up: CleanUp) -> Answered<'c> {
                Box::pin(async move {
                    let mut sent = UndoOnDrop {
                        transaction: self,
                        undo: clean_up.undo,
                    };
                    let rows = simple_query(sent.transaction, sql).await;
                    sent.undo = None;
                    rows
                })
            }

            fn queue(&mut self, sql: &str) {
                queue(self, sql);
            }

            /// The driver does not say; the next statement fails.
            fn is_closed(&self) -> bool {
                false
            }
        }
    };
}

on_transaction!(DatabaseTransaction);
on_transaction!(&DatabaseTransaction);

/// A statement without an answer yet. Dropping it queues the undo.
struct UndoOnDrop<'c> {
    transaction: &'c DatabaseTransaction,
    undo: Option<String>,
}

impl Drop for UndoOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(undo) = &self.undo {
            queue(self.transaction, undo);
        }
    }
}

/// Sends the statements at once, unless one that was dropped has no answer yet: then sqlx sends nothing, and a setting stays
/// to the end of the transaction.
fn queue(transaction: &DatabaseTransaction, sql: &str) {
    drop(transaction.execute_unprepared(sql).now_or_never());
}

/// Waits for the answers to dropped statements, whose errors sqlx would report to the next statement.
async fn settle(transaction: &DatabaseTransaction) {
    while let Err(DbErr::Exec(RuntimeErr::SqlxError(error))) =
        transaction.execute_unprepared("").await
        && error.as_database_error().is_some()
    {}
}

async fn simple_query(transaction: &DatabaseTransaction, sql: &str) -> Result<Rows, Failure> {
    settle(transaction).await;
    let (comment, mut statements) = parts(sql);
    let Some(last) = statements.pop_if(|last| is_select(last)) else {
        transaction.execute_unprepared(sql).await?;
        return Ok(Rows::default());
    };
    if !statements.is_empty() {
        let before = format!("{comment}{}", statements.join("; "));
        transaction.execute_unprepared(&before).await?;
    }
    let last = Statement::from_string(DbBackend::Postgres, format!("{comment}{last}"));
    rows(transaction, last).await
}

async fn rows(transaction: &DatabaseTransaction, statement: Statement) -> Result<Rows, Failure> {
    let rows = transaction.query_all_raw(statement).await?;
    rows.iter().map(as_text).collect()
}

fn as_text(row: &QueryResult) -> Result<Vec<Option<String>>, Failure> {
    let row = row.try_as_pg_row().ok_or_else(Failure::unexpected_answer)?;
    let text = |column| {
        let value = row.try_get_raw(column)?;
        if value.is_null() {
            return Ok(None);
        }
        let oid = value.type_info().oid();
        let text = oid.and_then(|oid| from_binary(oid.0, value.as_bytes().ok()?).ok());
        text.map(Some).ok_or_else(Failure::unexpected_answer)
    };
    (0..row.len()).map(text).collect()
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        let error = Arc::new(error);
        match &*error {
            DbErr::Conn(RuntimeErr::SqlxError(carried))
            | DbErr::Exec(RuntimeErr::SqlxError(carried))
            | DbErr::Query(RuntimeErr::SqlxError(carried)) => failure(carried, error.clone()),
            other => Self::local(other.to_string(), false),
        }
    }
}

/// By this, functions that return the error of `sea-orm` can be annotated. [`Error::find`] gives it back.
impl From<Error> for DbErr {
    fn from(error: Error) -> Self {
        Self::Query(RuntimeErr::SqlxError(Arc::new(error.into())))
    }
}
