//! Options of a lock: how long to wait, in which mode, and what ends it.

use std::time::Duration;

use crate::error::{Error, humanize};

/// The longest time that an option can have: that of Postgres' timeouts, 24.8 days. `Instant + time` can overflow for times
/// that are much longer.
pub(crate) const LONGEST_TIME: Duration = Duration::from_millis(i32::MAX as u64);

/// How long to wait for a lock: a duration, or without a limit.
///
/// Made from a [`Duration`], or from an `Option<Duration>` where `None` waits without a limit. A zero duration tries once.
/// Postgres counts in milliseconds: a duration between zero and 1 ms becomes 1 ms, since 0 ms would mean "no limit". More
/// than [`i32::MAX`] ms, about 24.8 days, is rejected as [`ErrorKind::Config`](crate::ErrorKind::Config).
///
/// See also [`lock_timeout`](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT).
///
/// ```
/// use std::time::Duration;
/// use pglock::Timeout;
///
/// assert_eq!(Timeout::from(Duration::from_secs(2)), Timeout::from(Some(Duration::from_secs(2))));
/// assert_eq!(Timeout::from(None), Timeout::FOREVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(Option<Duration>);

impl Timeout {
    /// Waits until the lock is acquired.
    pub const FOREVER: Self = Self(None);

    /// Tries once, without waiting.
    pub const ZERO: Self = Self(Some(Duration::ZERO));

    pub(crate) fn duration(self) -> Option<Duration> {
        self.0
    }
}

impl From<Duration> for Timeout {
    fn from(duration: Duration) -> Self {
        Self(Some(duration))
    }
}

impl From<Option<Duration>> for Timeout {
    fn from(duration: Option<Duration>) -> Self {
        Self(duration)
    }
}

/// What can be a timeout: whatever is [`Into<Timeout>`](Timeout).
///
/// It has all that, and nothing else. It is there for what the compiler says of other types.
///
/// ```
/// fn is_a_timeout(_: impl pglock::IntoTimeout) {}
///
/// is_a_timeout(std::time::Duration::from_secs(2));
/// is_a_timeout(None);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a timeout",
    label = "a timeout is a `Duration`, or `None` to wait without a limit",
    note = "write `Duration::from_secs(2)` or `Duration::from_millis(200)`; only attributes take `2` and `\"2s\"`"
)]
pub trait IntoTimeout {
    #[doc(hidden)]
    fn into_timeout(self) -> Timeout;
}

#[diagnostic::do_not_recommend]
impl<T: Into<Timeout>> IntoTimeout for T {
    fn into_timeout(self) -> Timeout {
        self.into()
    }
}

/// A timeout in the form that the server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitPolicy {
    NoWait,
    Millis(i32),
    Block,
}

impl WaitPolicy {
    /// How long it waits at most; zero for a single try, `None` without a limit.
    pub(crate) fn bound(self) -> Option<Duration> {
        match self {
            Self::NoWait => Some(Duration::ZERO),
            Self::Millis(millis) => Some(Duration::from_millis(u64::from(millis.unsigned_abs()))),
            Self::Block => None,
        }
    }
}

impl TryFrom<Timeout> for WaitPolicy {
    type Error = Error;

    fn try_from(Timeout(duration): Timeout) -> Result<Self, Error> {
        match duration {
            None => Ok(Self::Block),
            Some(Duration::ZERO) => Ok(Self::NoWait),
            Some(duration) => match i32::try_from(duration.as_millis()) {
                Ok(millis) => Ok(Self::Millis(millis.max(1))),
                Err(_) => Err(Error::config(format!(
                    "a timeout of {} is too long; write 24 days at most, or `None` to wait without a limit",
                    humanize::duration(duration)
                ))),
            },
        }
    }
}

/// Who else may hold the lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AdvisoryMode {
    Exclusive,
    Shared,
}

/// What to do when the lock is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnBusy {
    /// Return an error.
    Fail,
    /// Continue without the lock.
    Skip,
}

/// What ends a lock: its release, or the end of the transaction that took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Session,
    Transaction,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(timeout: impl Into<Timeout>) -> Result<WaitPolicy, Error> {
        WaitPolicy::try_from(timeout.into())
    }

    #[test]
    fn durations_become_what_the_server_counts() {
        assert_eq!(wait(None).unwrap(), WaitPolicy::Block);
        assert_eq!(wait(Duration::ZERO).unwrap(), WaitPolicy::NoWait);
        assert_eq!(
            wait(Duration::from_micros(400)).unwrap(),
            WaitPolicy::Millis(1)
        );
        assert_eq!(
            wait(Duration::from_nanos(1)).unwrap(),
            WaitPolicy::Millis(1)
        );
        assert_eq!(
            wait(Duration::from_secs(2)).unwrap(),
            WaitPolicy::Millis(2000)
        );
        let longest = Duration::from_millis(u64::from(i32::MAX.cast_unsigned()));
        assert_eq!(wait(longest).unwrap(), WaitPolicy::Millis(i32::MAX));
        assert!(wait(longest + Duration::from_millis(1)).is_err());
        assert!(wait(Duration::MAX).is_err());
    }
}
