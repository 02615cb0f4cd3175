//! Running a batch of operations on a session, and reading what was done.

use std::pin::pin;

use futures_util::TryStreamExt;
use tokio::sync::OnceCell;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, Statement};

use crate::engine::ledger::{Action, Op};
use crate::error::Failure;
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;
use crate::sql::shared::batch;

/// The statements that a session has prepared.
#[derive(Default)]
pub(super) struct Statements {
    many: OnceCell<Statement>,
    try_one: OnceCell<Statement>,
    unlock_one: OnceCell<Statement>,
}

/// How a batch ended.
pub(in crate::engine) enum BatchEnd {
    Done,
    /// A pooler has moved the session to another backend, where nothing was done.
    WrongBackend,
    /// The operation after the answered ones may have been done, those after it were not.
    Failed(Failure),
}

/// How a batch ended, from what running it returned.
pub(super) fn end(ran: Result<(), Failure>, all_are_answered: bool) -> BatchEnd {
    match ran {
        Ok(()) if all_are_answered => BatchEnd::Done,
        Ok(()) => BatchEnd::WrongBackend,
        // A statement that was prepared here is unknown there.
        Err(failure) if failure.is(&SqlState::INVALID_SQL_STATEMENT_NAME) => BatchEnd::WrongBackend,
        Err(failure) => BatchEnd::Failed(failure),
    }
}

/// Runs the operations in their order. `answers` gets a value for each that is known to have been run.
pub(super) async fn run(
    client: &Client,
    statements: &Statements,
    pid: i32,
    ops: &[Op],
    answers: &mut Vec<bool>,
) -> Result<(), Failure> {
    if let [op] = ops
        && let Key::Big(key) = op.key
        && let Some((cell, text)) = statements.for_one(op.action)
    {
        let statement = prepared(client, cell, text, &[Type::INT8, Type::INT4]).await?;
        return read(client, statement, &[&key, &pid], answers).await;
    }
    let types = [Type::INT8_ARRAY, Type::INT2_ARRAY, Type::INT4];
    let statement = prepared(client, &statements.many, batch::MANY, &types).await?;
    let (keys, operations): (Vec<_>, Vec<_>) = ops
        .iter()
        .map(|op| batch::parameters(op.key, op.action))
        .unzip();
    read(client, statement, &[&keys, &operations, &pid], answers).await
}

impl Statements {
    /// The statement for one key of 64 bits, and its text.
    fn for_one(&self, action: Action) -> Option<(&OnceCell<Statement>, &'static str)> {
        match action {
            Action::Try(AdvisoryMode::Exclusive) => Some((&self.try_one, batch::TRY_ONE)),
            Action::Unlock(AdvisoryMode::Exclusive) => Some((&self.unlock_one, batch::UNLOCK_ONE)),
            Action::Try(AdvisoryMode::Shared)
            | Action::Unlock(AdvisoryMode::Shared)
            | Action::Confirm
            | Action::ProbeShared => None,
        }
    }
}

async fn prepared<'s>(
    client: &Client,
    cell: &'s OnceCell<Statement>,
    text: &str,
    types: &[Type],
) -> Result<&'s Statement, Failure> {
    let prepare = || async { Ok(client.prepare_typed(text, types).await?) };
    cell.get_or_try_init(prepare).await
}

/// Reads rows as they come, since those that were sent before an error have been done.
async fn read(
    client: &Client,
    statement: &Statement,
    values: &[&(dyn ToSql + Sync)],
    answers: &mut Vec<bool>,
) -> Result<(), Failure> {
    let values = values.iter().copied();
    let mut rows = pin!(client.query_raw(statement, values).await?);
    while let Some(row) = rows.try_next().await? {
        match answer(&row) {
            Some(answer) => answers.push(answer),
            None => return Ok(()),
        }
    }
    Ok(())
}

fn answer(row: &Row) -> Option<bool> {
    row.try_get::<_, Option<bool>>(0).ok().flatten()
}
