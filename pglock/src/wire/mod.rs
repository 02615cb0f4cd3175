//! Protocols with the server, written once for every driver.
//!
//! All they need from a driver is to run a statement and to return its rows as text, or its failure.

pub(crate) mod canceled;
pub(crate) mod protocol;
pub(crate) mod reply;
pub(crate) mod slices;

use std::future::Future;

use crate::error::Failure;
use crate::sql::Rows;

/// A connection that runs texts in the simple protocol.
///
/// Blocking drivers block inside [`simple_query`](SimpleQuery::simple_query) and return a future that is ready, so that the
/// protocols are written only once, as async code.
pub(crate) trait SimpleQuery {
    /// Sends `sql`: several statements are one round trip and one implicit transaction.
    fn simple_query(&mut self, sql: &str) -> impl Future<Output = Result<Rows, Failure>> + Send;

    /// The same for a statement that may wait for a lock or leaves an effect. If the future is dropped before the answer,
    /// connections that have a clean-up do it.
    fn simple_query_or_clean_up(
        &mut self,
        sql: &str,
    ) -> impl Future<Output = Result<Rows, Failure>> + Send {
        self.simple_query(sql)
    }

    /// Fails when no transaction is open, on connections whose type does not prove that one is.
    fn expect_transaction(&mut self) -> impl Future<Output = Result<(), Failure>> + Send {
        std::future::ready(Ok(()))
    }
}

/// A connection that runs a statement with bound values, in the extended protocol.
pub(crate) trait ExtendedQuery {
    /// Runs one statement in as few round trips as the driver can. All parameters and all columns are text.
    fn query(
        &mut self,
        sql: &str,
        values: &[String],
    ) -> impl Future<Output = Result<Rows, Failure>> + Send;
}
