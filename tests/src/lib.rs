//! The harness under pglock's tests: throwaway Postgres servers, a database per test, and eyes
//! on what goes on inside them.
//!
//! ```text
//! let db = pglock_tests::database();
//! let mut client = db.connect();
//! client.execute("SELECT pg_advisory_lock(42)", &[]).unwrap();
//! assert_eq!(db.held(42), 1);
//! drop(client);
//! db.wait_for_no_locks();
//! ```
//!
//! Everything here panics with a message when something is wrong: that fails the test, which is
//! what it is for. Nothing here sleeps and hopes: [`wait_until`] looks until it is so, with a
//! bound. All of it works inside a tokio runtime too, [`TestDb::connect`] excepted: there,
//! [`async_client`] gives a database and a client of it.
#![allow(clippy::missing_panics_doc)]

use std::sync::LazyLock;

mod apart;
mod background;
mod binaries;
pub mod child;
mod database;
mod observe;
mod pgbouncer;
mod process;
mod proxy;
mod server;
mod supervisor;
mod url;
mod wait;
mod waiter;

pub use apart::apart;
pub use background::{Background, background};
pub use binaries::bin_dir;
pub use child::Child;
pub use database::TestDb;
pub use observe::{AdvisoryLock, Key};
pub use pgbouncer::PgBouncer;
pub use process::{is_alive, signal_backend};
pub use proxy::Proxy;
pub use rustix::process::Signal;
pub use server::{Builder, Server};
pub use wait::{BOUND, wait_until, wait_until_async};
pub use waiter::{Waiter, pid_of};

/// What the names of pglock's own sessions are like where a test sets none: `pglock: program@host`.
pub const OWN: &str = "pglock: %@%";

/// The server that the tests of this process share: a throwaway one, started on first use, or the
/// one of `DATABASE_URL`.
#[must_use]
pub fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| match std::env::var("DATABASE_URL") {
        Ok(url) => Server::given(&url),
        Err(_) => Server::start(),
    });
    &SERVER
}

/// Whether [`server`] was started by this process, and not given by `DATABASE_URL`.
#[must_use]
pub fn server_is_ours() -> bool {
    server().is_ours()
}

/// A new database on [`server`], for one test.
#[must_use]
pub fn database() -> TestDb {
    server().create_database()
}

/// A new database and a client that is connected to it. Its connection runs on the runtime that this is called on. Keep
/// the database for as long as the client: dropping it ends the connection.
pub async fn async_client() -> (TestDb, tokio_postgres::Client) {
    let database = database();
    let client = database.connect_async().await;
    (database, client)
}
