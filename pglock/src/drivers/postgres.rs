//! The blocking `postgres` driver.

use postgres::{Client, Transaction};

use super::sealed::Blocking;
use super::tokio_postgres::as_text;
use super::{AnyConnection, Connection, InTransaction};
use crate::error::Failure;
use crate::sql::Rows;

#[diagnostic::do_not_recommend]
impl Connection for Client {}

#[diagnostic::do_not_recommend]
impl AnyConnection for Client {}

impl Blocking for Client {
    fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        Ok(Client::simple_query(self, sql)?.into())
    }

    fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        Client::query_typed(self, sql, &as_text(values))?.try_into()
    }

    fn is_closed(&mut self) -> bool {
        Client::is_closed(self)
    }
}

#[diagnostic::do_not_recommend]
impl InTransaction for Transaction<'_> {}

#[diagnostic::do_not_recommend]
impl AnyConnection for Transaction<'_> {}

impl Blocking for Transaction<'_> {
    fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        Ok(Transaction::simple_query(self, sql)?.into())
    }

    fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        Transaction::query_typed(self, sql, &as_text(values))?.try_into()
    }

    /// The driver does not say; the next statement fails.
    fn is_closed(&mut self) -> bool {
        false
    }
}
