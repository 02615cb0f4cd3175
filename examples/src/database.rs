//! A database for one run of an example.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use pglock_tests::TestDb;
use postgres::{Client, NoTls};

use crate::{Error, step};

/// Creates a database that is gone when the value is dropped: on the server of `DATABASE_URL`, or on
/// a throwaway one, which is gone when the process ends, however it ends.
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
        // Its own words have the URL in them, and that may have a password.
        caught(pglock_tests::database).map_err(|_| {
            "can't create a database there: the user needs CREATEDB, and access to the database `postgres`".into()
        })
    })
}

/// A connection for the example's own statements.
///
/// # Errors
///
/// When the server is not there, or refuses.
pub fn connect(url: &str) -> Result<Client, Error> {
    Client::connect(url, NoTls).map_err(|error| {
        let causes = crate::with_causes(&error);
        format!("can't connect to the database: {causes}").into()
    })
}

/// Runs what panics when it fails, as a harness for tests does, and returns the panic's text as an error.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    // What was caught is thrown away, so nobody sees it half done.
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
