//! Guards that lend a connection are connections themselves, so that scopes nest.

/// What each guard with a `connection` that is a blocking one has.
macro_rules! lend_blocking {
    ($guard:ident, $connection:ident) => {
        impl<C: $connection + ?Sized> ::std::ops::Deref for $guard<'_, C> {
            type Target = C;

            fn deref(&self) -> &C {
                self.connection
            }
        }

        impl<C: $connection + ?Sized> ::std::ops::DerefMut for $guard<'_, C> {
            fn deref_mut(&mut self) -> &mut C {
                self.connection
            }
        }

        #[diagnostic::do_not_recommend]
        impl<C: $connection + ?Sized> $crate::drivers::AnyConnection for $guard<'_, C> {}

        #[expect(private_interfaces, reason = "nobody outside can name this trait")]
        impl<C: $connection + ?Sized> $crate::drivers::sealed::Blocking for $guard<'_, C> {
            fn simple_query(
                &mut self,
                sql: &str,
            ) -> Result<$crate::wire::Rows, $crate::wire::Failure> {
                self.connection.simple_query(sql)
            }

            fn query(
                &mut self,
                sql: &str,
                values: &[String],
            ) -> Result<$crate::wire::Rows, $crate::wire::Failure> {
                self.connection.query(sql, values)
            }

            fn expect_transaction(&mut self) -> Result<(), $crate::wire::Failure> {
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
                self.connection
            }
        }

        impl<C: $connection + ?Sized> ::std::ops::DerefMut for $guard<'_, C> {
            fn deref_mut(&mut self) -> &mut C {
                self.connection
            }
        }

        #[diagnostic::do_not_recommend]
        impl<C: $connection + ?Sized> $crate::drivers::AnyAsyncConnection for $guard<'_, C> {}

        #[expect(private_interfaces, reason = "nobody outside can name this trait")]
        impl<C: $connection + ?Sized> $crate::drivers::sealed::Async for $guard<'_, C> {
            fn send(&self, sql: &str) -> Result<$crate::drivers::Answer, $crate::wire::Failure> {
                self.connection.send(sql)
            }

            fn query<'c>(
                &'c self,
                sql: &'c str,
                values: &'c [String],
            ) -> $crate::drivers::Answered<'c> {
                self.connection.query(sql, values)
            }

            fn cancel_token(&self) -> ::tokio_postgres::CancelToken {
                self.connection.cancel_token()
            }

            fn is_closed(&self) -> bool {
                self.connection.is_closed()
            }
        }
    };
}

pub(crate) use {lend_async, lend_blocking};
