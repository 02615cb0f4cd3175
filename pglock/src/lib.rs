//! Locks in Postgres, as attributes: a job function runs at most once at a time across all processes and hosts that share
//! the database.
//!
//! ```
//! # // The example runs on a server of its own.
//! # let database = pglock_tests::database();
//! # pglock::configure(database.url())?;
//! #[pglock::advisory(timeout = "2s", side_effect = Skip)]
//! fn nightly_report() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     // ... no other process runs this now
//!     Ok(())
//! }
//!
//! nightly_report()
//! # ; Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! ```toml
//! [dependencies]
//! pglock = { path = "../pglock/pglock" } # `"0.1"` once it is on crates.io
//! ```
//!
//! Rust 1.88 or newer, Postgres 14 to 18. The default database is what [`configure`] is given, or `DATABASE_URL`, or `PGHOST`
//! and libpq's other variables.
//!
//! # I want to ..
//!
//! | I want to | go to |
//! | --- | --- |
//! | run a function once at a time | [`macro@advisory`], and [all its options](_guide::advisory) |
//! | lock a block, or hold a lock for longer than a function | [`fn@advisory`]: [`run`](Advisory::run), [`acquire`](Advisory::acquire) |
//! | lock on my own connection or transaction | [`Advisory::on`], [`Advisory::acquire_xact`], and [the drivers](_guide::your_connections) |
//! | know who holds a busy lock | [`Error::holder`] |
//! | have one of all processes lead, and another one when it can't | [`macro@leader`], [`fn@leader`] |
//! | take several locks, or none of them | [`advisory_all`] |
//! | allow a few at once | [`macro@limit`], [`fn@limit`] |
//! | lock the jobs of a scheduler or a queue, or the handlers of a web server | the [jobs](_guide::jobs) page |
//! | know whether I still hold it | [`check`], [`Guard::check`] |
//! | keep a lock after a short job, or stop a long one | [`hold_at_least`](Advisory::hold_at_least), [`hold_at_most`](Advisory::hold_at_most), [`drain()`] |
//! | not run again within some time, over restarts | [`once_in`](Advisory::once_in) |
//! | fence off a holder that has lost its lock, in another system | [`fenced`](Advisory::fenced), [`token`] |
//! | check the connection at the start, close idle sessions at the end | [`Database::ping`], [`Database::close`], [`drain_and_close`] |
//! | lock tables | [`tables`], [`table()`], [`model`] |
//! | limit how long statements wait for locks | [`macro@timeout`], [`fn@timeout`] |
//! | run a migration that waits for locks without holding up everybody | [`macro@retry`], [`retry_locks`], and [how](_guide::retry) |
//! | terminate the sessions that block my migration | [`macro@prioritize`], [`fn@prioritize`], and [how](_guide::prioritize) |
//! | list locks, and cancel or terminate sessions | [`locks()`], [`blocked_locks`], and [the filters](_guide::looking_at_locks) |
//! | see who waits for whom | [`wait_graph()`](fn@wait_graph) |
//! | know what to end when locks hold something up, and what to alert on | the [runbook](_guide::runbook) |
//! | look up the text of an error | the [errors](_guide::errors) page |
//! | use several databases, or name my sessions | [`Database`] |
//! | encrypt pglock's own sessions | the [TLS](_guide::tls) page |
//! | trace and measure | the [observability](_guide::observability) page |
//! | start from a whole program: cron, migrations, a shutdown | the [cookbook](_guide::cookbook) |
//! | test my jobs | the [testing](_guide::testing) page |
//! | find a lock by hand in `pg_locks` | [`advisory_id`] |
//! | list the annotated functions of my program | [`catalog()`] |
//! | move from django-pglock | [each name](_guide::django_pglock) |
//! | move from sqlx, `ShedLock`, `DistributedLock`, `with_advisory_lock` or flock | [what to write](_guide::compare) |
//!
//! # Which door to take
//!
//! **Attribute, closure or guard.** Take the attribute when one function is the whole job, [`run`](Advisory::run) when it is
//! a block, and a [`Guard`] when the lock must outlive a function. A guard that is dropped releases its lock, but only the
//! attribute and `run` report a loss by themselves, and only under them do calls inside calls share locks.
//!
//! **Own session, connection or transaction.** By default the lock is on a session of pglock's own, so the job needs no
//! connection. Take it on your connection when no statement of the job may outlive the lock, and in your transaction when
//! the commit should release it. [`xact`](Advisory::xact) without a transaction of yours is for poolers in transaction mode.
//!
//! **Blocking or async.** Methods that take a connection or wait have an async twin that ends in `_async`, on any executor;
//! after [`on_async`](Advisory::on_async) the plain names are async.
//! An attribute follows its `fn` or `async fn`. Blocking calls work inside a runtime, but block its thread.
//!
//! pglock's own sessions are driven by one background thread per process, so runtimes may come and go. Locks share a few
//! of them; an `xact` lock has one of its own. Of each kind, up to eight idle ones per database are kept for a minute;
//! [`Database::close`] closes them now.
//!
//! # Errors
//!
//! [`Error`] is one opaque type; [`Error::kind`] tells the cases apart, and the text says what to do; of a busy
//! lock, [`Error::hint`] does.
//!
//! - [`Busy`](ErrorKind::Busy): somebody else holds the lock, see [`Error::holder`]. `Skip` and the `try_` verbs turn it into a value.
//! - [`Lost`](ErrorKind::Lost): the lock was held and no longer is. [`Error::body_finished`] says if the work was done.
//! - [`Connect`](ErrorKind::Connect), [`Database`](ErrorKind::Database), [`Deadlock`](ErrorKind::Deadlock): no session, a refusal, a cycle of waits.
//! - [`Config`](ErrorKind::Config): used in a way that cannot work. [`SideEffect`](ErrorKind::SideEffect): a side effect of your own failed.
//! - [`Environment`](ErrorKind::Environment): the server cannot hold such a lock: a pooler in transaction mode, a standby.
//!
//! # Promises
//!
//! The [guarantees](_guide::guarantees) page explains each, and lists the limits.
//!
//! - A timeout, a dropped future, a panic or an error never leaves a lock held.
//! - A session lock is never taken inside a transaction.
//! - A lost lock is never silent: an async body is dropped, a blocking one learns from [`check`] and at its end.
//! - Waiting is in the server's queue, first come, first served, without polling.
//! - A busy lock names its holder.
//! - A server that cannot hold the lock is refused, with what to do instead.
//! - A network that goes silent is noticed within 4 s, before the server frees the lock: see [`heartbeat`](DatabaseBuilder::heartbeat).
//! - Only the right session is signaled, and never one of pglock's own.
//! - No `unsafe` code; names are quoted, values are bound or formatted integers.
//!
//! No client can promise these: after a failover, a lock held on the old primary is free on the new one; and a blocking body
//! cannot be interrupted when its lock is lost.
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | adds | needs |
//! | --- | --- | --- |
//! | `sqlx` | sqlx 0.9: connections, pooled connections, transactions | Rust 1.94; your own dependency on sqlx chooses its runtime and TLS |
//! | `sea-orm` | SeaORM 2: `DatabaseTransaction`, and the feature `sqlx`, whose connections its pool has | Rust 1.94 |
//! | `diesel` | diesel 2.3: `PgConnection` | libpq |
//! | `diesel-async` | diesel-async 0.9: `AsyncPgConnection` | |
//! | `rustls` | [TLS](_guide::tls) of pglock's own sessions; without it, a URL that requires TLS is refused | |
//! | `tracing` | [spans and events](_guide::observability) | a subscriber |
//! | `metrics` | [counters and histograms](_guide::observability) | a recorder of `metrics` 0.24 |
//! | `serde` | `Serialize` for [`Lock`], [`BlockedLock`], [`Activity`] and [`WaitGraph`], as the command prints them, and for [`Holder`], [`LockId`] and [`Catalog`]; `answer_catalog` | |
//! | `toml` | [named queries](_guide::looking_at_locks) for [`locks()`] and [`blocked_locks`] in `pglock.toml` | |
//! | `testing` | the module `testing`, of [the testing kit](_guide::testing#the-testing-kit): locks of a test's own, errors without a database, a look for leaks; and `Database::in_process`, locks without a server | `[dev-dependencies]`: a release build with it does not compile, unless `testing-in-release` is on |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(
    clippy::missing_errors_doc,
    reason = "a test checks it, and knows that an async twin has the errors of the blocking function that it is like"
)]

#[cfg(target_family = "wasm")]
compile_error!("pglock needs threads and sockets, which wasm doesn't have");

#[cfg(all(
    feature = "testing",
    not(feature = "testing-in-release"),
    not(debug_assertions)
))]
compile_error!(
    "the feature `testing` of pglock is for tests, and this is a release build: turn it on in [dev-dependencies] only, or use `testing-in-release` for tests that are run with `--release`"
);

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

/// What compile errors about attributes name. The compiler prints the short name of what it can reach by a path that is
/// not hidden, and the whole path of what it cannot.
#[cfg_attr(doc, doc(hidden))]
pub mod __in_messages {
    pub use crate::__rt::{
        AsyncOutsideTransaction, FromError, InEachTerm, InEachTry, InLockId, Later,
        OutsideTransaction, RunsInTime, Tried, enter_advisory_on, enter_advisory_on_async,
        enter_prioritize_on, enter_prioritize_on_async, enter_timeout_on, enter_timeout_on_async,
        enter_try_on, enter_try_on_async, enter_xact, enter_xact_async, limit_by, of_each_term,
        of_each_try, runs_in_time, shown,
    };
}

// Only for rustdoc: other builds don't need the files.
#[cfg(doc)]
#[path = "guide.rs"]
pub mod _guide;

pub use api::advisory::{
    Advisory, AdvisoryOn, AdvisoryOnAsync, AllScope, OnOwnSession, OneLock, PermitScope,
    SessionScope, Shareable, TransactionScope, advisory, schema,
};
pub use api::all::advisory_all;
#[cfg(feature = "serde")]
pub use api::catalog::answer_catalog;
pub use api::catalog::{Catalog, CatalogEntry, catalog};
pub use api::drain::{drain, drain_and_close, drain_and_close_async, drain_async};
pub use api::leader::{Leader, leader};
pub use api::limit::{IntoPermits, limit};
pub use api::locks::{Locks, blocked_locks, locks};
pub use api::prioritize::{
    AsyncPrioritizeScope, Cancel, Escalate, Prioritize, PrioritizeScope, Terminate, prioritize,
};
pub use api::retry::{BodyError, RetryLocks, retry_locks};
pub use api::tables::{Tables, model, table, tables};
#[cfg(feature = "testing")]
pub use api::testing;
pub use api::timeout::{AsyncTimeoutScope, LockTimeout, TimeoutScope, timeout};
pub use api::wait_graph::{
    PreparedTransaction, WaitEdge, WaitGraph, WaitGraphQuery, WaitSession, wait_graph,
};
pub use calls::{AsyncConnectionGuard, ConnectionGuard, Guard, check, token};
pub use database::{Database, DatabaseBuilder, DatabaseConfig, Using, configure};
pub use drivers::{
    AnyAsyncConnection, AnyConnection, AsyncConnection, AsyncInTransaction, AsyncReader,
    Connection, InTransaction,
};
pub use error::{Error, ErrorKind, Holder, LastRun};
pub use model::lock_id::{ForeignId, IntoLockId, LockId, advisory_id};
pub use model::options::{IntoTimeout, Timeout};
pub use model::skippable::Skippable;
pub use model::table::{Model, ParseTableModeError, TableMode, TableName};
#[cfg(feature = "metrics")]
pub use telemetry::describe_metrics;
pub use view::{Activity, BlockedLock, Lock, LockKind, LockMode, ParseNameError, RelKind, State};
pub use watcher::{
    Blocked, Blocker, BlockerAction, PrioritizeReport, PrioritizeSideEffect, Spared,
};

/// The attribute: takes an advisory lock around a function, which then runs at most once at a time across all processes
/// and hosts that share the database. For guards and closures, see [`fn@advisory`].
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
/// Skipping when another process runs it, with a value that says so; panicking when the database cannot be reached:
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
///
/// # What a call does
pub use pglock_macros::advisory;

/// The attribute: one of all processes runs the function, and another takes over when that one can't. By hand: [`fn@leader`].
///
/// # Example
///
/// ```
/// #[pglock::leader("scheduler")]
/// async fn schedule(tasks: std::sync::Arc<Vec<u32>>) -> Result<usize, pglock::Error> {
///     Ok(tasks.len())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), pglock::Error> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// let scheduled = schedule(vec![1, 2].into()).await?;
/// assert_eq!(scheduled, 2);
/// # Ok(())
/// # }
/// ```
///
/// # What it does
pub use pglock_macros::leader;

/// The attribute: at most so many calls at once, over all processes and hosts that share the database. By hand: [`fn@limit`].
///
/// # Example
///
/// ```
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// #[pglock::limit(3, "sms", timeout = "1m")]
/// fn send(to: &str) -> Result<usize, pglock::Error> {
///     Ok(to.len())
/// }
///
/// assert_eq!(send("+4930123456")?, 11);
/// # Ok::<(), pglock::Error>(())
/// ```
///
/// # What it does
pub use pglock_macros::limit;

/// The attribute: terminates the sessions that keep a function waiting for locks, until it returns. For a part of a function,
/// and for a report, see [`fn@prioritize`].
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
///
/// # What it does
pub use pglock_macros::prioritize;

/// The attribute: runs a function that waits for locks in tries that each give up soon, with longer and longer pauses. By hand:
/// [`retry_locks`].
///
/// # Example
///
/// ```
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// #[pglock::retry(tries = 30)]
/// fn migrate(client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
///     Ok(client.batch_execute("ALTER TABLE orders ADD total numeric")?)
/// }
///
/// migrate(&mut client)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it does
pub use pglock_macros::retry;

/// The attribute: limits how long the statements of a function wait for locks on a connection. For a part of a function, see [`fn@timeout`].
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
///
/// # What it does
pub use pglock_macros::timeout;

/// The programs of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
