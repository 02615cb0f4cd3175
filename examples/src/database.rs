//! A database for one run of an example.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use pglock_tests::TestDb;
use postgres::{Client, NoTls};

use crate::{Error, step};

/// Creates a database that is removed when the value is dropped: on the server of `DATABASE_URL`, or on a throwaway one,
/// which is removed when the process ends, however it ends.
///
/// # Errors
///
/// When there is no server, and none can be started.
pub fn create_database() -> Result<TestDb, Error> {
    let Ok(url) = std::env::var("DATABASE_URL") else {
        return step("Starting Postgres", || Ok(caught(pglock_tests::database)?));
    };
    step("Connecting to the server of DATABASE_URL", || {
        connect(&url)?;
        // Its own text contains the URL, which may contain a password.
        caught(pglock_tests::database).map_err(|_| {
            "cannot create a database there: the user needs CREATEDB, and access to the database `postgres`".into()
        })
    })
}

/// A connection for the example's own statements.
///
/// # Errors
///
/// When the server cannot be reached, or refuses.
pub fn connect(url: &str) -> Result<Client, Error> {
    Client::connect(url, NoTls).map_err(|error| {
        let causes = crate::with_causes(&error);
        format!("cannot connect to the database: {causes}").into()
    })
}

/// Runs code that panics when it fails, such as the tests' harness, and returns the panic's text as an error.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    // After a panic nothing of `work` is used again, so it is unwind safe.
    let result = catch_unwind(AssertUnwindSafe(work));
    set_hook(hook);
    result.map_err(|panic| match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>();
            text.copied()
                .unwrap_or("the server could not be started")
                .to_owned()
        }
    })
}
