//! What generated code calls, and nothing else may: it changes with any version.

use std::fmt;
use std::future::Future;
use std::ops::DerefMut;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use crate::api::advisory::TransactionScope;
use crate::api::timeout::Before;
use crate::calls::call_stack::Frame;
use crate::calls::on_connection::ConnectionLock;
use crate::drivers::{
    AnyAsyncConnection, AnyConnection, AsyncConnection, AsyncInTransaction, Connection,
    InTransaction,
};
use crate::model::options::Timeout;
use crate::telemetry::HoldSpan;
use crate::watcher::SectionHandle;
use crate::{
    Advisory, AsyncConnectionGuard, AsyncPrioritizeScope, AsyncTimeoutScope, Error, LockTimeout,
    Prioritize,
};

pub use crate::api::advisory::advisory;
pub use crate::api::catalog::{Registered, Site};
pub use crate::calls::call::Call;
pub use crate::model::skippable::Skippable;
pub use inventory;

/// The lock of a function without a `lock_id`.
pub fn advisory_at(site: &'static Site) -> Advisory {
    Advisory::new(site.id().into(), Some(site))
}

/// A lock that is skipped when busy: who has it is asked only where somebody listens.
pub fn skip<S>(advisory: Advisory<S>) -> Advisory<S> {
    advisory.skipping()
}

#[must_use]
pub fn is_busy(error: &Error) -> bool {
    error.is_busy()
}

/// A return type that an error of pglock's fits into.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't carry an error of pglock's",
    label = "the lock may not be had, and this return type has no place to say so",
    note = "return `Result<T, E>` where `E: From<pglock::Error>`, such as `Box<dyn Error + Send + Sync>` or `anyhow::Error`",
    note = "or say what to do: `on_error = Panic`, or `on_error = |error| ...`"
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

/// Holds `on_error` to the function's return type.
pub fn on_error<R, F: FnOnce(Error) -> R>(f: F) -> F {
    f
}

/// `on_error = Panic`.
///
/// # Panics
///
/// Always, with the error's text.
#[expect(clippy::must_use_candidate, reason = "it never returns")]
#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where `FnOnce(Error) -> R` is asked for"
)]
pub fn panic<R>(error: Error) -> R {
    panic!("{error}")
}

/// Asks a value whether it is an `Err`, whatever its type: a `Result` answers by [`ProbeResult`], all others by
/// [`ProbeOther`], which method look-up finds one reference later.
#[derive(Debug)]
pub struct Probe<'a, R>(pub &'a R);

pub trait ProbeResult {
    fn failed(&self) -> bool;
}

impl<T, E> ProbeResult for Probe<'_, Result<T, E>> {
    fn failed(&self) -> bool {
        self.0.is_err()
    }
}

pub trait ProbeOther {
    fn failed(&self) -> bool;
}

impl<R> ProbeOther for &Probe<'_, R> {
    fn failed(&self) -> bool {
        false
    }
}

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

pub async fn run_async<R>(
    call: Call,
    body: impl Future<Output = R>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    // Boxed, since each function that it is handed on to would keep room for it, and so each attribute around.
    let body = Box::pin(body);
    call.run_async(body, failed).await.unwrap_or_else(on_error)
}

// What all calls on a connection of the caller's have in common.

/// Where a body runs: in a call, whose locks the calls in it inherit, or in none.
pub struct Place(Option<Arc<Frame>>);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.0.is_some()).finish()
    }
}

/// Runs the body; a panic is kept until what was entered is left.
pub fn catch<R>(Place(frame): Place, body: impl FnOnce() -> R) -> std::thread::Result<R> {
    // Nothing is looked at in between: the panic goes on as it came.
    catch_unwind(AssertUnwindSafe(|| match frame {
        Some(frame) => frame.run(body),
        None => body(),
    }))
}

/// Runs the body.
pub async fn within<F: Future>(Place(frame): Place, body: F) -> F::Output {
    // Boxed for the same reason as in `run_async`.
    let body = Box::pin(body);
    match frame {
        Some(frame) => frame.run_async(body).await,
        None => body.await,
    }
}

// A session lock on a connection of the caller's.

#[derive(Debug)]
pub struct OnCall(ConnectionLock);

pub fn enter_on<C: Connection + ?Sized>(
    advisory: Advisory,
    connection: &mut C,
) -> Result<(OnCall, Place), Error> {
    let taken = advisory
        .for_connection(Timeout::FOREVER)?
        .acquire(connection)?;
    let place = Place(Some(Frame::on_connection(taken.inside())));
    Ok((OnCall(taken), place))
}

pub fn leave_on<C: Connection + ?Sized, R>(
    OnCall(taken): OnCall,
    connection: &mut C,
    result: std::thread::Result<R>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    left(result, taken.release(connection), failed, on_error)
}

/// The body's panic goes on, once what was entered is left.
fn left<R>(
    result: std::thread::Result<R>,
    left: Result<(), Error>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    match result {
        Ok(result) => body_first(result, left, failed, on_error),
        Err(panic) => resume_unwind(panic),
    }
}

fn body_first<R>(
    result: R,
    released: Result<(), Error>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    match released {
        Err(error) if !failed(&result) => on_error(error.after_the_body()),
        _ => result,
    }
}

pub type AsyncOnCall<'c, C> = AsyncConnectionGuard<'c, C>;

pub async fn enter_on_async<C: AsyncConnection + ?Sized>(
    advisory: Advisory,
    connection: &mut C,
) -> Result<(AsyncOnCall<'_, C>, Place), Error> {
    let asked = advisory.for_connection(Timeout::FOREVER)?;
    let call = AsyncConnectionGuard::acquire(connection, asked).await?;
    let place = Place(Some(Frame::on_connection(call.inside())));
    Ok((call, place))
}

/// The connection for the body; the call is left when it is dropped, as by a panic of the body.
pub fn lend<G: DerefMut>(call: &mut G) -> &mut G::Target {
    call
}

pub async fn leave_on_async<C: AsyncConnection + ?Sized, R>(
    call: AsyncOnCall<'_, C>,
    result: R,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    let released = call.release().await;
    body_first(result, released, failed, on_error)
}

// A lock in a transaction of the caller's, whose end releases it.

#[derive(Debug)]
pub struct XactCall(());

pub fn enter_xact<T: InTransaction + ?Sized>(
    advisory: Advisory<TransactionScope>,
    transaction: &mut T,
) -> Result<XactCall, Error> {
    advisory
        .for_connection(Timeout::FOREVER)?
        .acquire_xact(transaction)?;
    Ok(XactCall(()))
}

pub fn run_xact<R>(_call: XactCall, body: impl FnOnce() -> R) -> R {
    Frame::on_connection(HoldSpan::none()).run(body)
}

pub async fn enter_xact_async<T: AsyncInTransaction + ?Sized>(
    advisory: Advisory<TransactionScope>,
    transaction: &mut T,
) -> Result<XactCall, Error> {
    advisory
        .for_connection(Timeout::FOREVER)?
        .acquire_xact_async(transaction)
        .await?;
    Ok(XactCall(()))
}

pub async fn run_xact_async<F: Future>(_call: XactCall, body: F) -> F::Output {
    // Boxed for the same reason as in `run_async`.
    Frame::on_connection(HoldSpan::none())
        .run_async(Box::pin(body))
        .await
}

// A lock timeout on a connection of the caller's.

pub use crate::api::timeout::timeout;

#[derive(Debug)]
pub struct TimeoutCall(Before);

pub fn enter_timeout<C: AnyConnection + ?Sized>(
    timeout: LockTimeout,
    connection: &mut C,
) -> Result<(TimeoutCall, Place), Error> {
    let before = timeout.begin(connection)?;
    Ok((TimeoutCall(before), Place(None)))
}

pub fn leave_timeout<C: AnyConnection + ?Sized, R>(
    TimeoutCall(before): TimeoutCall,
    connection: &mut C,
    result: std::thread::Result<R>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    left(result, before.end(connection), failed, on_error)
}

pub async fn enter_timeout_async<C: AnyAsyncConnection + ?Sized>(
    timeout: LockTimeout,
    connection: &mut C,
) -> Result<(AsyncTimeoutScope<'_, C>, Place), Error> {
    let call = timeout.on_async(connection).await?;
    Ok((call, Place(None)))
}

pub async fn leave_timeout_async<C: AnyAsyncConnection + ?Sized, R>(
    call: AsyncTimeoutScope<'_, C>,
    result: R,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    let restored = call.restore().await;
    body_first(result, restored, failed, on_error)
}

// A prioritized connection of the caller's.

pub use crate::api::prioritize::{Cancel, Escalate, Terminate, prioritize};

#[derive(Debug)]
pub struct PrioritizeCall {
    section: SectionHandle,
    before: Option<Before>,
}

pub fn enter_prioritize<C: AnyConnection + ?Sized>(
    prioritize: Prioritize,
    connection: &mut C,
) -> Result<(PrioritizeCall, Place), Error> {
    let (section, before) = prioritize.begin(connection)?;
    let place = Place(Some(Frame::prioritized(section.id())));
    Ok((PrioritizeCall { section, before }, place))
}

pub fn leave_prioritize<C: AnyConnection + ?Sized, R>(
    PrioritizeCall { section, before }: PrioritizeCall,
    connection: &mut C,
    result: std::thread::Result<R>,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    let ended = crate::api::prioritize::end(&section, before, connection);
    left(result, ended.map(drop), failed, on_error)
}

pub async fn enter_prioritize_async<C: AnyAsyncConnection + ?Sized>(
    prioritize: Prioritize,
    connection: &mut C,
) -> Result<(AsyncPrioritizeScope<'_, C>, Place), Error> {
    let call = prioritize.on_async(connection).await?;
    let place = Place(Some(call.frame()));
    Ok((call, place))
}

pub async fn leave_prioritize_async<C: AnyAsyncConnection + ?Sized, R>(
    call: AsyncPrioritizeScope<'_, C>,
    result: R,
    failed: impl FnOnce(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    let ended = call.finish().await;
    body_first(result, ended.map(drop), failed, on_error)
}
