//! The caller's connections, in the form that the protocols of `wire` use.
//!
//! A forked child that uses nothing but connections of its own learns here that it is one.

use super::clean_up::CleanUp;
use super::sealed;
use crate::background::close_copies_in_child;
use crate::error::Failure;
use crate::sql::Rows;
use crate::wire::{ExtendedQuery, SimpleQuery};

/// A blocking connection for protocols that are written as async: each future is ready at its first poll.
pub(crate) struct BlockingWire<'c, C: ?Sized>(pub(crate) &'c mut C);

impl<C: sealed::Blocking + ?Sized> SimpleQuery for BlockingWire<'_, C> {
    fn simple_query(&mut self, sql: &str) -> impl Future<Output = Result<Rows, Failure>> + Send {
        close_copies_in_child();
        std::future::ready(self.0.simple_query(sql))
    }

    fn expect_transaction(&mut self) -> impl Future<Output = Result<(), Failure>> + Send {
        close_copies_in_child();
        std::future::ready(self.0.expect_transaction())
    }
}

impl<C: sealed::Blocking + ?Sized> ExtendedQuery for BlockingWire<'_, C> {
    fn query(
        &mut self,
        sql: &str,
        values: &[String],
    ) -> impl Future<Output = Result<Rows, Failure>> + Send {
        close_copies_in_child();
        std::future::ready(self.0.query(sql, values))
    }
}

/// An async connection for those protocols.
pub(crate) struct AsyncWire<'c, C: ?Sized>(pub(crate) &'c mut C);

impl<C: sealed::Async + ?Sized> SimpleQuery for AsyncWire<'_, C> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        close_copies_in_child();
        self.0.simple_query(sql).await
    }

    async fn expect_transaction(&mut self) -> Result<(), Failure> {
        close_copies_in_child();
        self.0.expect_transaction().await
    }
}

impl<C: sealed::Async + ?Sized> ExtendedQuery for AsyncWire<'_, C> {
    async fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        close_copies_in_child();
        self.0.query(sql, values).await
    }
}

/// An async connection that is only read from.
pub(crate) struct AsyncReaderWire<'c, C: ?Sized>(pub(crate) &'c mut C);

impl<C: sealed::AsyncRead + ?Sized> ExtendedQuery for AsyncReaderWire<'_, C> {
    async fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        close_copies_in_child();
        self.0.read(sql, values).await
    }
}

/// An async connection with a clean-up for statements that are dropped before their answer. The other statements only find
/// out how those ended, and never wait.
pub(crate) struct CleanUpOnDrop<'c, C: ?Sized> {
    connection: &'c mut C,
    clean_up: CleanUp,
}

impl<'c, C: ?Sized> CleanUpOnDrop<'c, C> {
    pub(crate) fn new(connection: &'c mut C, clean_up: CleanUp) -> Self {
        Self {
            connection,
            clean_up,
        }
    }
}

impl<C: sealed::Async + ?Sized> SimpleQuery for CleanUpOnDrop<'_, C> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        close_copies_in_child();
        self.connection.simple_query(sql).await
    }

    async fn simple_query_or_clean_up(&mut self, sql: &str) -> Result<Rows, Failure> {
        close_copies_in_child();
        let clean_up = self.clean_up.clone();
        self.connection.simple_query_or(sql, clean_up).await
    }

    async fn expect_transaction(&mut self) -> Result<(), Failure> {
        close_copies_in_child();
        self.connection.expect_transaction().await
    }
}
