//! Blocking connections and transactions.

mod advisory;
mod driver;
mod failures;
mod locks;
mod names;
mod prioritized;
mod settings;
mod tables;
mod transactions;
mod waits;

/// Makes each of the functions a test for each of the drivers.
macro_rules! on_every_driver {
    ($($test:ident)*) => {
        on_every_driver!(@ on_postgres crate::blocking::driver::Postgres; $($test)*);
        on_every_driver!(@ on_pooled_postgres crate::blocking::driver::PooledPostgres; $($test)*);
        on_every_driver!(@ on_diesel crate::blocking::driver::Diesel; $($test)*);
        on_every_driver!(@ on_pooled_diesel crate::blocking::driver::PooledDiesel; $($test)*);
    };
    (@ $name:ident $driver:path; $($test:ident)*) => {
        mod $name {
            $(#[test]
            fn $test() {
                super::$test::<$driver>();
            })*
        }
    };
}

use on_every_driver;
