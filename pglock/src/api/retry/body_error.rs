//! What a body's error says of a lock that timed out.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

use crate::error::LockTimedOut;

/// An error of a body that [`retry_locks`](crate::retry_locks) can look into, to know whether a lock timed out: a type that
/// implements [`std::error::Error`], a `Box<dyn Error>`, also with `Send` and `Sync`, or an `anyhow::Error`.
///
/// A lock timed out when there is one of these among the error and its [sources](StdError::source): an error of pglock's
/// that [is busy](crate::Error::is_busy), or one of tokio-postgres, postgres or sqlx with the SQLSTATE `55P03`, or of diesel,
/// which hides that, with its text in English. An error type of your own therefore only has to name what caused it as its
/// source, as `#[from]` and `#[source]` of `thiserror` do.
///
/// `Form` tells the implementations apart, of which each type has one, and is inferred.
///
/// See also [`lock_not_available`](https://www.postgresql.org/docs/current/errcodes-appendix.html) (`55P03`).
///
/// ```
/// use std::fmt;
///
/// #[derive(Debug)]
/// struct Failed(postgres::Error);
///
/// impl fmt::Display for Failed {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("the migration failed")
///     }
/// }
///
/// impl std::error::Error for Failed {
///     fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
///         Some(&self.0) // without it, a lock that timed out would not be seen
///     }
/// }
///
/// fn can_be_looked_into<Form>(_: impl Fn() -> Result<(), Failed>)
/// where
///     Failed: pglock::BodyError<Form>,
/// {
/// }
/// # can_be_looked_into(|| Ok(()));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether a lock timed out",
    label = "the body's error is looked into after each try",
    note = "use an error type that implements `std::error::Error`, `Box<dyn Error + Send + Sync>`, or `anyhow::Error`"
)]
pub trait BodyError<Form> {
    #[doc(hidden)]
    fn as_error(&self) -> &(dyn StdError + 'static);
}

/// The error itself, by its type.
#[derive(Debug)]
pub struct Typed;

/// A box, by what is in it.
#[derive(Debug)]
pub struct Boxed;

/// A box of what is `Send`.
#[derive(Debug)]
pub struct BoxedSend;

/// A box of what is `Send` and `Sync`.
#[derive(Debug)]
pub struct BoxedSendSync;

#[diagnostic::do_not_recommend]
impl<E: StdError + 'static> BodyError<Typed> for E {
    fn as_error(&self) -> &(dyn StdError + 'static) {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<E: Deref<Target = dyn StdError>> BodyError<Boxed> for E {
    fn as_error(&self) -> &(dyn StdError + 'static) {
        &**self
    }
}

#[diagnostic::do_not_recommend]
impl<E: Deref<Target = dyn StdError + Send>> BodyError<BoxedSend> for E {
    fn as_error(&self) -> &(dyn StdError + 'static) {
        &**self
    }
}

#[diagnostic::do_not_recommend]
impl<E: Deref<Target = dyn StdError + Send + Sync>> BodyError<BoxedSendSync> for E {
    fn as_error(&self) -> &(dyn StdError + 'static) {
        &**self
    }
}

/// What became of a try.
pub enum Outcome {
    /// The body returned `Ok`.
    Done,
    /// It returned an error that is not about a lock that timed out.
    Failed,
    /// A lock timed out in it.
    TimedOut(LockTimedOut),
}

/// What a body returned, with the error to look into.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether a lock timed out",
    label = "what the body returns is looked into after each try",
    note = "return `Result<T, E>` where `E` implements `std::error::Error`, or is `Box<dyn Error + Send + Sync>` or `anyhow::Error`"
)]
pub trait Tried<Form> {
    /// What it says of the try.
    fn outcome(&self) -> Outcome;
}

#[diagnostic::do_not_recommend]
impl<T, E: BodyError<Form>, Form> Tried<Form> for Result<T, E> {
    fn outcome(&self) -> Outcome {
        match self {
            Ok(_) => Outcome::Done,
            Err(error) => match LockTimedOut::find(error.as_error()) {
                Some(timed_out) => Outcome::TimedOut(timed_out),
                None => Outcome::Failed,
            },
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "Done",
            Self::Failed => "Failed",
            Self::TimedOut(_) => "TimedOut",
        })
    }
}
