//! Guards and scopes lend their connection, and are connections themselves, so that they nest.
//!
//! All of them, and the types of drivers that wrap another connection, pass what pglock asks of a connection on to the
//! one that they deref to.

/// Implements the named methods of [`Blocking`](super::sealed::Blocking) by those of the connection that `self` derefs to.
macro_rules! forward_blocking {
    ($($method:ident)+) => {
        $( $crate::drivers::forward_blocking! { @$method } )+
    };
    (@simple_query) => {
        fn simple_query(
            &mut self,
            sql: &str,
        ) -> Result<$crate::sql::Rows, $crate::error::Failure> {
            $crate::drivers::sealed::Blocking::simple_query(&mut **self, sql)
        }
    };
    (@query) => {
        fn query(
            &mut self,
            sql: &str,
            values: &[String],
        ) -> Result<$crate::sql::Rows, $crate::error::Failure> {
            $crate::drivers::sealed::Blocking::query(&mut **self, sql, values)
        }
    };
    (@expect_transaction) => {
        fn expect_transaction(&mut self) -> Result<(), $crate::error::Failure> {
            $crate::drivers::sealed::Blocking::expect_transaction(&mut **self)
        }
    };
    (@is_closed) => {
        fn is_closed(&mut self) -> bool {
            $crate::drivers::sealed::Blocking::is_closed(&mut **self)
        }
    };
}

/// Implements the named methods of [`Async`](super::sealed::Async) by those of the connection that `self` derefs to.
macro_rules! forward_async {
    ($($method:ident)+) => {
        $( $crate::drivers::forward_async! { @$method } )+
    };
    (@simple_query) => {
        fn simple_query<'c>(&'c mut self, sql: &'c str) -> $crate::drivers::Answered<'c> {
            $crate::drivers::sealed::Async::simple_query(&mut **self, sql)
        }
    };
    (@query) => {
        fn query<'c>(
            &'c mut self,
            sql: &'c str,
            values: &'c [String],
        ) -> $crate::drivers::Answered<'c> {
            $crate::drivers::sealed::Async::query(&mut **self, sql, values)
        }
    };
    (@simple_query_or) => {
        fn simple_query_or<'c>(
            &'c mut self,
            sql: &'c str,
            clean_up: $crate::drivers::CleanUp,
        ) -> $crate::drivers::Answered<'c> {
            $crate::drivers::sealed::Async::simple_query_or(&mut **self, sql, clean_up)
        }
    };
    (@queue) => {
        fn queue(&mut self, sql: &str) {
            $crate::drivers::sealed::Async::queue(&mut **self, sql);
        }
    };
    (@expect_transaction) => {
        fn expect_transaction(&mut self) -> $crate::drivers::Expected<'_> {
            $crate::drivers::sealed::Async::expect_transaction(&mut **self)
        }
    };
    (@is_closed) => {
        fn is_closed(&self) -> bool {
            $crate::drivers::sealed::Async::is_closed(&**self)
        }
    };
}

/// Lets a guard deref to its field `connection`.
macro_rules! deref_to_connection {
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
    };
}

/// Makes a guard with a field `connection` lend it, and be a blocking connection itself.
macro_rules! lend_blocking {
    ($guard:ident, $connection:ident) => {
        $crate::drivers::deref_to_connection!($guard, $connection);

        #[diagnostic::do_not_recommend]
        impl<C: $connection + ?Sized> $crate::drivers::AnyConnection for $guard<'_, C> {}

        impl<C: $connection + ?Sized> $crate::drivers::sealed::Blocking for $guard<'_, C> {
            $crate::drivers::forward_blocking!(simple_query query expect_transaction is_closed);
        }
    };
}

/// Makes a guard with a field `connection` lend it, and be an async connection itself.
macro_rules! lend_async {
    ($guard:ident, $connection:ident) => {
        $crate::drivers::deref_to_connection!($guard, $connection);

        #[diagnostic::do_not_recommend]
        impl<C: $connection + ?Sized> $crate::drivers::AnyAsyncConnection for $guard<'_, C> {}

        impl<C: $connection + ?Sized> $crate::drivers::sealed::Async for $guard<'_, C> {
            $crate::drivers::forward_async!(
                simple_query query simple_query_or queue expect_transaction is_closed
            );
        }
    };
}

pub(crate) use {deref_to_connection, forward_async, forward_blocking, lend_async, lend_blocking};
