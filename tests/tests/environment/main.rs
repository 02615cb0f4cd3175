//! What can't carry a lock is refused when pglock connects, and says what to do instead.

mod liar;
mod lock_table;
mod pgbouncer;
mod settings;
mod shadow;
mod standby;

use std::sync::LazyLock;

use pglock::{Database, Error, Guard, advisory};
use pglock_tests::Server;

/// Of our own also where `DATABASE_URL` names one: poolers and copies are put beside it.
fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
    &SERVER
}

fn handle(url: &str) -> Database {
    Database::builder(url).build().unwrap()
}

/// A lock that is held by a session, or by a transaction.
fn acquire(id: &'static str, xact: bool, here: &Database) -> Result<Guard, Error> {
    let lock = advisory(id).using(here);
    if xact {
        lock.xact().acquire()
    } else {
        lock.acquire()
    }
}

#[track_caller]
fn assert_refused(error: &Error, saying: &[&str]) {
    assert!(error.is_environment(), "{error:?}");
    let text = error.to_string();
    for part in saying {
        assert!(text.contains(part), "{text}");
    }
}
