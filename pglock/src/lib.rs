//! Locks in Postgres, as attributes: a job function runs once at a time in every process, on every host, that
//! shares the database.
//!
//! ```
//! # // The example runs on a server of its own.
//! # let database = pglock_tests::database();
//! # pglock::configure(database.url())?;
//! #[pglock::advisory(timeout = "2s", side_effect = Skip)]
//! fn nightly_report() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     // ... runs here only while no other process runs it
//!     Ok(())
//! }
//!
//! nightly_report()
//! # ; Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! # Overview
//!
//! - [`macro@advisory`] is the attribute; what it does can be done by hand with the function of the same name,
//!   [`fn@advisory`]: a builder whose verbs acquire, try, or run under the lock, each with an async twin.
//! - [`Guard`] holds a lock on a session of pglock's own, [`ConnectionGuard`] and [`AsyncConnectionGuard`] hold one
//!   on a connection of yours.
//! - [`Error`] tells a busy lock from a lost one and from a database that is away, and names the
//!   [holder](Error::holder). [`check`] asks whether the locks of the calls around are still held.
//! - [`tables`] and [`table()`] lock tables in a transaction, [`fn@timeout`] (also as an attribute) bounds how long the statements on a connection
//!   wait for locks.
//! - [`fn@prioritize`] (also as an attribute) ends whoever keeps a connection waiting for locks.
//! - [`locks()`] and [`blocked_locks`] show who holds which lock and who keeps whom waiting, and can end those.
//! - [`fn@wait_graph`] shows who waits for whom, as a whole: where it begins, what goes round in a ring, as a tree and for
//!   Graphviz.
//! - [`drain()`] waits, at the end of a process, for the locks that are kept after their calls.
//! - [`configure`] sets the default database; without it, it is `DATABASE_URL`. [`Database`] is a handle for others.
//!
//! # What is promised
//!
//! - A timeout never leaves the lock held, and neither does a dropped future, a panic, or an error.
//! - A lock that is lost is never silent: an async body is dropped and its call returns
//!   [`Lost`](ErrorKind::Lost); a blocking one learns at [`check`] and at the end.
//! - Waiting is in the server's queue, first come first served, with one waiter per key and process (a call inside
//!   a call waits for itself, so that the server sees deadlocks).
//! - Failures name who held the lock.
//! - A session that can't carry the lock is refused as [`Environment`](ErrorKind::Environment) when pglock connects: through a
//!   pooler in transaction mode (use [`xact`](Advisory::xact) there), on a standby, on a server that takes no locks.
//! - A network that goes silent: the client knows within 4 s, a holder by [`Lost`](ErrorKind::Lost), a waiter by
//!   [`Connect`](ErrorKind::Connect), and the server frees the lock later, within 15 s of the cut or of a grant after it. See
//!   [`heartbeat`](DatabaseBuilder::heartbeat), also for the cost, and [`lease`](DatabaseBuilder::lease) for processes that
//!   are stopped. It rests on `tcp_user_timeout`, so on Linux on both sides, and on pglock's thread getting to run.
//!   Connections of yours have no heartbeat.
//!
//! What no client can promise: after a failover, a lock that was held on the old primary is free on the new one.
//! A blocking body can't be interrupted when its lock is lost. What this version doesn't promise yet: a deadlock between guards is not seen, one between
//! calls inside calls is.
//!
//! # Calls inside calls
//!
//! A call that is made under a lock, and asks for the same lock, re-enters without waiting and without SQL; the lock
//! is released when the last call that shares it ends. Siblings under `join!` don't see each other's locks; spawned
//! tasks and threads inherit nothing. Shared inside exclusive is fine; exclusive inside shared would wait for itself
//! and is refused. Guards are no part of this.
//!
//! # How long a lock is held
//!
//! As long as the body runs, unless told otherwise. [`hold_at_least`](Advisory::hold_at_least) keeps the lock of a short
//! job, so that a host whose clock is late doesn't run it again; [`hold_at_most`](Advisory::hold_at_most) drops an async
//! body that takes too long, and then releases its lock. Both are options of the attribute too:
//!
//! ```
//! # // The example runs on a server of its own.
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let database = pglock_tests::database();
//! # pglock::configure(database.url())?;
//! #[pglock::advisory("digest", timeout = 0, side_effect = Skip, hold_at_least = "300ms", hold_at_most = "10m")]
//! async fn digest() -> Result<Option<u32>, pglock::Error> {
//!     Ok(Some(42))
//! }
//!
//! assert_eq!(digest().await?, Some(42));
//! assert_eq!(digest().await?, None); // kept, so it is busy
//! pglock::drain_async().await; // at the end of a process, which would free it
//! assert_eq!(digest().await?, Some(42));
//! # Ok(())
//! # }
//! ```
//!
//! # Connections of yours
//!
//! Blocking ones are those of `postgres`; async ones those of `tokio-postgres` and, with the feature `sqlx` (which needs
//! Rust 1.94), of sqlx 0.9, from whatever pool: see [`AsyncConnection`], also for what a drop guarantees on each. Your
//! own dependency on sqlx chooses its runtime and TLS.
//!
//! # Sessions
//!
//! Locks that name no connection live on sessions of pglock's own, one per held lock, which a background thread
//! drives; so blocking functions work inside a runtime, async ones on any executor, and runtimes may come and go.
//! Idle sessions are used again; at most eight are kept per database, for a minute.
//!
//! # Features
//!
//! None is on by default.
//!
//! - `tracing`: spans of what is asked for and held, events of skips, losses, callers that go away, and kills. `metrics`:
//!   how often, with what outcome, for how long. See "Traces and metrics" below.
//! - `rustls`: TLS of pglock's own sessions, as `sslmode` in the URL says; without it a URL that asks for TLS is refused. See
//!   [`Database::builder`](Database::builder).
//! - `toml`: `config("name")` on [`locks()`] and [`blocked_locks`] asks as it is written in a file, `pglock.toml`.
#![cfg_attr(feature = "diesel", doc = "")]
#![cfg_attr(feature = "diesel", doc = include_str!("drivers/diesel/docs.md"))]

#[cfg(target_family = "wasm")]
compile_error!("pglock needs threads and sockets, which wasm doesn't have");

mod api;
mod background;
mod calls;
mod database;
mod drivers;
mod engine;
mod error;
mod model;
mod sql;
mod telemetry;
mod view;
mod watcher;
mod wire;

#[doc(hidden)]
#[allow(missing_docs)]
#[path = "rt.rs"]
pub mod __rt;

// Only for rustdoc: other builds don't need the files.
#[cfg(doc)]
#[path = "guide.rs"]
pub mod _guide;

pub use api::advisory::{
    Advisory, AdvisoryOn, AdvisoryOnAsync, SessionScope, TransactionScope, advisory,
};
pub use api::drain::{drain, drain_async};
pub use api::locks::{Locks, blocked_locks, locks};
pub use api::prioritize::{
    AsyncPrioritizeScope, Cancel, Escalate, Prioritize, PrioritizeScope, Terminate, prioritize,
};
pub use api::tables::{Tables, model, table, tables};
pub use api::timeout::{AsyncTimeoutScope, LockTimeout, TimeoutScope, timeout};
pub use api::wait_graph::{
    PreparedTransaction, WaitEdge, WaitGraph, WaitGraphQuery, WaitSession, wait_graph,
};
pub use calls::{AsyncConnectionGuard, ConnectionGuard, Guard, check};
pub use database::{Database, DatabaseBuilder, DatabaseConfig, Using, configure};
pub use drivers::{
    AnyAsyncConnection, AnyConnection, AsyncConnection, AsyncInTransaction, Connection,
    InTransaction,
};
pub use error::{Error, ErrorKind, Holder};
pub use model::lock_id::{LockId, advisory_id};
pub use model::options::Timeout;
pub use model::skippable::Skippable;
pub use model::table::{Model, ParseTableModeError, TableMode, TableName};
#[cfg(feature = "metrics")]
pub use telemetry::describe_metrics;
pub use view::{Activity, BlockedLock, Lock, LockKind, LockMode, ParseWordError, RelKind, State};
pub use watcher::{
    Blocked, Blocker, BlockerAction, PrioritizeReport, PrioritizeSideEffect, Spared,
};

/// Takes an advisory lock around a function, which then runs once at a time on every host that shares the database.
///
/// # Examples
///
/// A template names one lock per customer:
///
/// ```
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// #[pglock::advisory("invoices-{customer}", timeout = "30s")]
/// fn bill(customer: u32) -> Result<u32, pglock::Error> {
///     Ok(customer)
/// }
///
/// assert_eq!(bill(7)?, 7);
/// # Ok::<(), pglock::Error>(())
/// ```
///
/// Skipping when another process runs it, with a value that says so; panicking when the database is away:
///
/// ```
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url()).unwrap();
/// #[pglock::advisory(timeout = 0, side_effect = Skip(0), on_error = Panic)]
/// fn sweep() -> usize {
///     42
/// }
///
/// assert_eq!(sweep(), 42);
/// ```
///
/// On a connection of the caller's:
///
/// ```
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// #[pglock::advisory("ledger", client = client)]
/// fn settle(client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
///     client.batch_execute("SELECT 1")?;
///     Ok(())
/// }
///
/// settle(&mut client)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub use pglock_macros::advisory;

/// Gets what keeps a function waiting for locks out of the way: whoever blocks it is ended.
///
/// # Example
///
/// ```
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// #[pglock::prioritize(interval = "500ms", timeout = "10s")]
/// fn migrate(client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
///     Ok(client.batch_execute("ALTER TABLE orders ADD total numeric")?)
/// }
///
/// migrate(&mut client)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub use pglock_macros::prioritize;

/// Bounds how long the statements of a function wait for locks on a connection.
///
/// # Example
///
/// ```
/// # let database = pglock_tests::database();
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// #[pglock::timeout("3s")]
/// fn migrate(client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
///     Ok(client.batch_execute("ALTER TABLE orders ADD total numeric")?)
/// }
///
/// migrate(&mut client)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub use pglock_macros::timeout;

/// The programs of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
