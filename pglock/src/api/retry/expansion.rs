//! What `#[pglock::retry]` expands to, apart from the parts of all attributes: a loop in which each try is entered, runs the
//! body, and is left.

use std::panic::resume_unwind;

use super::body_error::Outcome;
use super::connection::{AsyncOutsideTransaction, OutsideTransaction};
use super::options::RetryLocks;
use super::tries::{AsyncTry, Tries, Try};
use crate::calls::call_context::CallContext;
use crate::error::Error;

/// The tries of one call.
#[must_use]
pub fn tries_of(options: RetryLocks) -> Tries {
    Tries::new(options)
}

/// Begins the next try on a blocking connection.
pub fn enter_try_on<C: OutsideTransaction + ?Sized>(
    tries: &mut Tries,
    connection: &mut C,
) -> Result<(Try, CallContext), Error> {
    let entered = tries.begin(connection)?;
    let context = CallContext::from(entered.frame());
    Ok((entered, context))
}

/// Leaves a try. What the body returned, or its panic; nothing where there is another try, after the pause.
pub fn leave_try_on<C: OutsideTransaction + ?Sized, R>(
    tries: &mut Tries,
    entered: Try,
    connection: &mut C,
    result: std::thread::Result<R>,
    outcome: impl FnOnce(&R) -> Outcome,
) -> Result<Option<R>, Error> {
    match result {
        Ok(result) => {
            let outcome = outcome(&result);
            tries.end(entered, connection, result, outcome)
        }
        Err(panic) => {
            entered.abandon(connection);
            resume_unwind(panic)
        }
    }
}

/// Like [`enter_try_on`].
pub async fn enter_try_on_async<'c, C: AsyncOutsideTransaction + ?Sized>(
    tries: &mut Tries,
    connection: &'c mut C,
) -> Result<(AsyncTry<'c, C>, CallContext), Error> {
    let entered = tries.begin_async(connection).await?;
    let context = CallContext::from(entered.frame());
    Ok((entered, context))
}

/// Like [`leave_try_on`].
pub async fn leave_try_on_async<C: AsyncOutsideTransaction + ?Sized, R>(
    tries: &mut Tries,
    entered: AsyncTry<'_, C>,
    result: R,
    outcome: impl FnOnce(&R) -> Outcome,
) -> Result<Option<R>, Error> {
    let outcome = outcome(&result);
    tries.end_async(entered, result, outcome).await
}

/// An argument of a body that runs once per try.
pub fn of_each_try<T: InEachTry>(argument: &T) -> T {
    argument.in_each_try()
}

/// What each try can get one of: what is `Clone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `Clone`, and the body runs once per try",
    label = "each try gets a clone of this argument",
    note = "pass what can be cloned, such as an `Arc<T>` or a `&T`, or make it in the body"
)]
pub trait InEachTry {
    /// One for this try.
    #[must_use]
    fn in_each_try(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> InEachTry for T {
    fn in_each_try(&self) -> Self {
        self.clone()
    }
}
