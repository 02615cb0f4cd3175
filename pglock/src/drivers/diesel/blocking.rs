//! The blocking `diesel` driver.

use std::future::ready;
use std::num::NonZeroU32;

use diesel::connection::{SimpleConnection, TransactionManager};
use diesel::pg::PgConnection;
use diesel::{QueryResult, RunQueryDsl};

use super::conversation::{self, Query, Statements, session_ended};
use super::rows::TextRow;
use super::sql;
use crate::background::block_on;
use crate::drivers::sealed::Blocking;
use crate::drivers::{AnyConnection, Connection, InTransaction};
use crate::error::Failure;
use crate::sql::Rows;

#[diagnostic::do_not_recommend]
impl Connection for PgConnection {}

#[diagnostic::do_not_recommend]
impl AnyConnection for PgConnection {}

/// A transaction of diesel is the connection itself; `expect_transaction` checks whether one is open.
#[diagnostic::do_not_recommend]
impl InTransaction for PgConnection {}

impl Statements for PgConnection {
    fn batch(&mut self, sql: &str) -> impl Future<Output = QueryResult<()>> + Send {
        ready(self.batch_execute(sql))
    }

    fn load(&mut self, query: Query<'_>) -> impl Future<Output = QueryResult<Vec<TextRow>>> + Send {
        ready(query.load(self))
    }
}

impl Blocking for PgConnection {
    fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        block_on(conversation::simple_query(self, sql))
    }

    fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        block_on(conversation::query(self, sql, values))
    }

    fn expect_transaction(&mut self) -> Result<(), Failure> {
        let depth = depth(self);
        block_on(conversation::expect_transaction(self, depth))
    }

    /// Diesel loses count when the connection is closed, but also for other reasons, so a statement has to decide.
    fn is_closed(&mut self) -> bool {
        depth(self).is_err()
            && self
                .batch_execute(sql::PROBE)
                .is_err_and(|error| session_ended(&error))
    }
}

/// How many nested transactions diesel has begun; `None` outside one.
fn depth(connection: &mut PgConnection) -> QueryResult<Option<NonZeroU32>> {
    type Manager = <PgConnection as diesel::Connection>::TransactionManager;
    Manager::transaction_manager_status_mut(connection).transaction_depth()
}
