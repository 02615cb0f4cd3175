//! Guards that lend a connection are connections themselves, so that scopes nest.

/// What each guard with a `connection` that is a blocking one has.
macro_rules! lend_blocking {
    ($guard:ident, $connection:ident) => {
        impl<C: $connection + ?Sized> ::std::ops::Deref for $guard<'_, C> {
            type Target = C;

            fn deref(&self) -> &C {
                &self.connection
            }
        }

        impl<C: $connection + ?Sized> ::std::ops::DerefMut for $guard<'_, C> {
            fn deref_mut(&mut self) -> &mut C {
                &mut self.connection
            }
        }

        #[diagnostic::do_not_recommend]
        impl<C: $connection + ?Sized> $crate::drivers::AnyConnection for $guard<'_, C> {}

        impl<C: $connection + ?Sized> $crate::drivers::sealed::Blocking for $guard<'_, C> {
            fn simple_query(
                &mut self,
                sql: &str,
            ) -> Result<$crate::sql::Rows, $crate::error::Failure> {
                self.connection.simple_query(sql)
            }

            fn query(
                &mut self,
                sql: &str,
                values: &[String],
            ) -> Result<$crate::sql::Rows, $crate::error::Failure> {
                self.connection.query(sql, values)
            }

            fn expect_transaction(&mut self) -> Result<(), $crate::error::Failure> {
                self.connection.expect_transaction()
            }

            fn is_closed(&mut self) -> bool {
                self.connection.is_closed()
            }
        }
    };
}

/// What each guard with a `connection` that is an async one has.
macro_rules! lend_async {
    ($guard:ident, $connection:ident) => {
        impl<C: $connection + ?Sized> ::std::ops::Deref for $guard<'_, C> {
            type Target = C;

            fn deref(&self) -> &C {
                &self.connection
            }
        }

        impl<C: $connection + ?Sized> ::std::ops::DerefMut for $guard<'_, C> {
            fn deref_mut(&mut self) -> &mut C {
                &mut self.connection
            }
        }

        #[diagnostic::do_not_recommend]
        impl<C: $connection + ?Sized> $crate::drivers::AnyAsyncConnection for $guard<'_, C> {}

        impl<C: $connection + ?Sized> $crate::drivers::sealed::Async for $guard<'_, C> {
            fn simple_query<'c>(&'c mut self, sql: &'c str) -> $crate::drivers::Answered<'c> {
                self.connection.simple_query(sql)
            }

            fn query<'c>(
                &'c mut self,
                sql: &'c str,
                values: &'c [String],
            ) -> $crate::drivers::Answered<'c> {
                self.connection.query(sql, values)
            }

            fn simple_query_or<'c>(
                &'c mut self,
                sql: &'c str,
                clean_up: $crate::drivers::CleanUp,
            ) -> $crate::drivers::Answered<'c> {
                self.connection.simple_query_or(sql, clean_up)
            }

            fn queue(&mut self, sql: &str) {
                self.connection.queue(sql);
            }

            fn is_closed(&self) -> bool {
                self.connection.is_closed()
            }
        }
    };
}

pub(crate) use {lend_async, lend_blocking};
