//! What the conversations with the server need of a driver: one simple query, its rows as text, its failure.

pub(crate) mod protocol;
pub(crate) mod reply;

use std::future::Future;

use crate::error::Failure;
use crate::sql::Rows;

/// A connection on which a conversation is held, one statement after the other.
///
/// Blocking drivers block inside [`simple_query`](Wire::simple_query), so that each conversation is written once.
pub(crate) trait SimpleQuery {
    /// Sends `sql` by the simple protocol: several statements are one round trip and one implicit transaction.
    fn simple_query(&mut self, sql: &str) -> impl Future<Output = Result<Rows, Failure>> + Send;

    /// Fails where no transaction is open, on connections whose type doesn't say that one is.
    fn expect_transaction(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// A connection on which a statement is run with values that are bound, never written into it.
pub(crate) trait ExtendedQuery {
    /// Runs one statement, in as few round trips as the driver can: all its parameters are text, and all columns of
    /// its answer.
    fn query(
        &mut self,
        sql: &str,
        values: &[String],
    ) -> impl Future<Output = Result<Rows, Failure>> + Send;
}
