//! What generated code calls. Not part of the public API: it may change in any version.
//!
//! What a call goes through, in order: on a session of pglock's own `enter`, `run`; on a connection of the caller's
//! `enter_.._on`, the body in its [`CallContext`], `leave_on`; in a transaction of the caller's `enter_xact`, `run_xact`. A
//! leader's goes through `leader_by`, `lead`.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::DerefMut;
use std::panic::resume_unwind;

use futures_util::Stream;

use crate::api::advisory::{Advisory, TransactionScope};
use crate::api::prioritize::{AsyncPrioritizeScope, Prioritize};
use crate::api::timeout::{AsyncTimeoutScope, LockTimeout};
use crate::calls::AsyncConnectionGuard;
use crate::calls::call_stack::Frame;
use crate::drivers::{
    AnyAsyncConnection, AnyConnection, AsyncConnection, AsyncInTransaction, Connection,
    InTransaction,
};
use crate::error::Error;
use crate::model::options::Timeout;
use crate::telemetry::HoldSpan;

pub use crate::api::advisory::advisory;
pub use crate::api::all::advisory_all;
pub use crate::api::catalog::annotated::{AnnotatedFn, AnnotatedId, Registration};
pub use crate::api::leader::expansion::{InEachTerm, lead, leader_by, of_each_term};
pub use crate::api::limit::limit_by;
pub use crate::api::prioritize::{Cancel, Escalate, Terminate, prioritize};
pub use crate::api::retry::body_error::Tried;
pub use crate::api::retry::connection::{AsyncOutsideTransaction, OutsideTransaction};
pub use crate::api::retry::expansion::{
    InEachTry, enter_try_on, enter_try_on_async, leave_try_on, leave_try_on_async, of_each_try,
    tries_of,
};
pub use crate::api::retry::retry_locks;
pub use crate::api::timeout::timeout;
pub use crate::calls::call::Call;
pub use crate::calls::call_context::{CallContext, run_async_in, run_catching};
pub use crate::model::skippable::Skippable;
pub use inventory;

/// The lock of a function without a `lock_id`.
pub fn advisory_at(function: &'static AnnotatedFn) -> Advisory {
    Advisory::new(function.path().into(), Some(function))
}

/// The value of a placeholder in a lock ID. `format!` does not see its type, and cannot complain of it a second time.
pub fn shown<T: InLockId>(value: &T) -> &dyn fmt::Display {
    value
}

#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a lock ID",
    label = "a placeholder inserts what implements `Display`",
    note = "name a field of it that does, as in `{{job.id}}`, or write `{{id:?}}` for what `Debug` shows, if that tells the values apart and stays as it is",
    note = "for anything else write an expression, as in `lock_id = format!(..)`"
)]
pub trait InLockId: fmt::Display {}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display> InLockId for T {}

/// A lock that is skipped when busy: its holder is looked up only when a subscriber would record it.
pub fn skip<S>(advisory: Advisory<S>) -> Advisory<S> {
    advisory.skipping()
}

#[must_use]
pub fn is_busy(error: &Error) -> bool {
    error.is_busy()
}

/// A return type that can be built from an error of pglock's.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be built from a `pglock::Error`",
    label = "acquiring the lock can fail, and this return type cannot report it",
    note = "return `Result<T, E>` where `E` is `Box<dyn Error + Send + Sync>`, `anyhow::Error`, or another type with `From<pglock::Error>`",
    note = "for an error type of your own, write `impl From<pglock::Error> for MyError`, or with `thiserror` put `#[from]` on a variant's `pglock::Error`",
    note = "or handle the error in the attribute: `on_error = Panic` or `on_error = |error| ...`"
)]
pub trait FromError {
    fn from_error(error: Error) -> Self;

    fn failed(&self) -> bool;
}

#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> FromError for Result<T, E> {
    fn from_error(error: Error) -> Self {
        Err(error.into())
    }

    fn failed(&self) -> bool {
        self.is_err()
    }
}

/// Checks that `on_error` returns the function's return type, and infers the type of its argument.
pub fn on_error<R, F: FnOnce(Error) -> R>(f: F) -> F {
    f
}

/// `on_error = Panic`.
///
/// # Panics
///
/// Always, with what `{:?}` of the error shows, as `unwrap` does.
#[expect(clippy::must_use_candidate, reason = "it never returns")]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is used as a `FnOnce(Error) -> R`"
)]
#[track_caller]
pub fn panic<R>(error: Error) -> R {
    panic!("{error:?}")
}

/// Tells whether a value of any type is an `Err`: for a `Result`, method lookup finds [`IsErr`]; for all other types it
/// goes on to [`NeverErr`], which needs one more reference.
#[derive(Debug)]
pub struct Probe<'a, R>(pub &'a R);

pub trait IsErr {
    fn failed(&self) -> bool;
}

impl<T, E> IsErr for Probe<'_, Result<T, E>> {
    fn failed(&self) -> bool {
        self.0.is_err()
    }
}

pub trait NeverErr {
    fn failed(&self) -> bool;
}

impl<R> NeverErr for &Probe<'_, R> {
    fn failed(&self) -> bool {
        false
    }
}

/// Tells whether what a function returns is still to be run: for a future or a stream, method look-up finds [`RunsLater`];
/// for all other types it goes on to [`HasRun`], which needs one more reference.
#[derive(Debug)]
pub struct Returned<R>(pub PhantomData<R>);

#[derive(Debug)]
pub struct Later;

#[derive(Debug)]
pub struct InTime;

/// The number tells the impls apart, of which one applies to a type.
pub trait RunsLater<const IMPL: u8> {
    fn runs(&self) -> Later {
        Later
    }
}

impl<F: Future> RunsLater<0> for Returned<F> {}

impl<F: Future, E> RunsLater<1> for Returned<Result<F, E>> {}

impl<S: Stream> RunsLater<2> for Returned<S> {}

impl<S: Stream, E> RunsLater<3> for Returned<Result<S, E>> {}

pub trait HasRun {
    fn runs(&self) -> InTime {
        InTime
    }
}

impl<R> HasRun for &Returned<R> {}

/// Refuses what would run only after the lock had been released.
pub fn runs_in_time<R, W: RunsInTime<R>>(_: W) {}

#[diagnostic::on_unimplemented(
    message = "`{R}` is or contains a future or a stream, which would run only after the attribute has ended",
    label = "this is returned before it has run",
    note = "await or collect it in the body, in an `async fn`, and return what comes of it",
    note = "or hold the lock in a guard, as in `pglock::advisory(..).acquire_async()`; if it needs no lock, return it in a struct"
)]
pub trait RunsInTime<R> {}

#[diagnostic::do_not_recommend]
impl<R> RunsInTime<R> for InTime {}

// A lock on a session of pglock's own.

pub fn enter<S>(advisory: Advisory<S>) -> Result<Call, Error> {
    advisory.for_own_session(Timeout::FOREVER)?.enter()
}

pub async fn enter_async<S>(advisory: Advisory<S>) -> Result<Call, Error> {
    advisory
        .for_own_session(Timeout::FOREVER)?
        .enter_async()
        .await
}

pub fn run<R>(
    call: Call,
    body: impl FnOnce() -> R,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    call.run(body, failed).unwrap_or_else(on_error)
}

/// Runs the body of an `async fn`. Not an `async fn` itself, whose future would have room for the body until it is boxed.
pub fn run_async<R>(
    call: Call,
    body: impl Future<Output = R>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> impl Future<Output = R> {
    // Boxed: otherwise each async function that it is passed to, and each enclosing attribute, would reserve space for it.
    let body = Box::pin(body);
    async move { call.run_async(body, failed).await.unwrap_or_else(on_error) }
}

// A scope on a connection of the caller's: a session lock, a lock timeout, or a prioritized section.
//
// One function to enter each of them, so that the bound on the connection is the function's own: with one function for
// all, whose bound is a trait of the builders, the compiler points at the whole attribute, and twice in an `async fn`.

/// An entered scope on a blocking connection: what leaves it.
pub struct ConnectionCall<C: ?Sized> {
    leave: Leave<C>,
}

type Leave<C> = Box<dyn FnOnce(&mut C) -> Result<(), Error>>;

impl<C: ?Sized> ConnectionCall<C> {
    fn new(leave: impl FnOnce(&mut C) -> Result<(), Error> + 'static) -> Self {
        Self {
            leave: Box::new(leave),
        }
    }
}

impl<C: ?Sized> fmt::Debug for ConnectionCall<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionCall").finish_non_exhaustive()
    }
}

pub fn enter_advisory_on<C: Connection + ?Sized>(
    advisory: Advisory,
    connection: &mut C,
) -> Result<(ConnectionCall<C>, CallContext), Error> {
    let lock = advisory
        .for_connection(Timeout::FOREVER)?
        .acquire(connection)?;
    let context = CallContext::within(Frame::on_connection(lock.span()));
    let call = ConnectionCall::new(move |connection| lock.release(connection));
    Ok((call, context))
}

pub fn enter_timeout_on<C: AnyConnection + ?Sized>(
    timeout: LockTimeout,
    connection: &mut C,
) -> Result<(ConnectionCall<C>, CallContext), Error> {
    let before = timeout.begin(connection)?;
    let call = ConnectionCall::new(move |connection| before.end(connection));
    Ok((call, CallContext::none()))
}

pub fn enter_prioritize_on<C: AnyConnection + ?Sized>(
    prioritize: Prioritize,
    connection: &mut C,
) -> Result<(ConnectionCall<C>, CallContext), Error> {
    let (section, before) = prioritize.begin(connection)?;
    let context = CallContext::within(Frame::prioritized(section.id()));
    let call = ConnectionCall::new(move |connection| {
        crate::api::prioritize::end(&section, before, connection).map(drop)
    });
    Ok((call, context))
}

/// Leaves the scope, then returns what the body returned, or goes on with its panic.
pub fn leave_on<C: ?Sized, R>(
    call: ConnectionCall<C>,
    connection: &mut C,
    result: std::thread::Result<R>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    let left = (call.leave)(connection);
    match result {
        Ok(result) => finish(result, left, failed, on_error),
        Err(panic) => resume_unwind(panic),
    }
}

/// The body's own `Err` wins over an error of leaving the scope.
fn finish<R>(
    result: R,
    left: Result<(), Error>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    match left {
        Err(error) if !failed(&result) => on_error(error.after_the_body()),
        _ => result,
    }
}

/// An entered scope on an async connection. It lends the connection; dropping it, as a panic of the body does, leaves the
/// scope too.
pub trait AsyncConnectionCall: DerefMut + Sized {
    fn leave(self) -> impl Future<Output = Result<(), Error>> + Send;
}

impl<C: AsyncConnection + ?Sized> AsyncConnectionCall for AsyncConnectionGuard<'_, C> {
    async fn leave(self) -> Result<(), Error> {
        self.release().await
    }
}

impl<C: AnyAsyncConnection + ?Sized> AsyncConnectionCall for AsyncTimeoutScope<'_, C> {
    async fn leave(self) -> Result<(), Error> {
        self.restore().await
    }
}

impl<C: AnyAsyncConnection + ?Sized> AsyncConnectionCall for AsyncPrioritizeScope<'_, C> {
    async fn leave(self) -> Result<(), Error> {
        self.finish().await.map(drop)
    }
}

pub async fn enter_advisory_on_async<C: AsyncConnection + ?Sized>(
    advisory: Advisory,
    connection: &mut C,
) -> Result<(AsyncConnectionGuard<'_, C>, CallContext), Error> {
    let request = advisory.for_connection(Timeout::FOREVER)?;
    let call = AsyncConnectionGuard::acquire(connection, request).await?;
    let context = CallContext::within(Frame::on_connection(call.span()));
    Ok((call, context))
}

pub async fn enter_timeout_on_async<C: AnyAsyncConnection + ?Sized>(
    timeout: LockTimeout,
    connection: &mut C,
) -> Result<(AsyncTimeoutScope<'_, C>, CallContext), Error> {
    Ok((timeout.on_async(connection).await?, CallContext::none()))
}

pub async fn enter_prioritize_on_async<C: AnyAsyncConnection + ?Sized>(
    prioritize: Prioritize,
    connection: &mut C,
) -> Result<(AsyncPrioritizeScope<'_, C>, CallContext), Error> {
    let call = prioritize.on_async(connection).await?;
    let context = CallContext::within(call.frame());
    Ok((call, context))
}

/// The connection, for the body.
pub fn lend<G: DerefMut>(call: &mut G) -> &mut G::Target {
    call
}

/// Like [`leave_on`].
pub async fn leave_on_async<G: AsyncConnectionCall, R>(
    call: G,
    result: R,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    finish(result, call.leave().await, failed, on_error)
}

// A lock in a transaction of the caller's, whose end releases it.

pub fn enter_xact<T: InTransaction + ?Sized>(
    advisory: Advisory<TransactionScope>,
    transaction: &mut T,
) -> Result<(), Error> {
    advisory
        .for_connection(Timeout::FOREVER)?
        .acquire_xact(transaction)
}

pub fn run_xact<R>(body: impl FnOnce() -> R) -> R {
    Frame::on_connection(HoldSpan::none()).run(body)
}

pub async fn enter_xact_async<T: AsyncInTransaction + ?Sized>(
    advisory: Advisory<TransactionScope>,
    transaction: &mut T,
) -> Result<(), Error> {
    advisory
        .for_connection(Timeout::FOREVER)?
        .acquire_xact_async(transaction)
        .await
}

pub fn run_xact_async<F: Future>(body: F) -> impl Future<Output = F::Output> {
    // Boxed for the same reason as in `run_async`.
    let body = Box::pin(body);
    async { Frame::on_connection(HoldSpan::none()).run_async(body).await }
}
