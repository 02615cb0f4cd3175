//! For how long a lock is held: at least, whatever the body does, and at most. Pure.

use std::time::Duration;

use crate::error::Error;
use crate::model::lock_id::LockId;

/// What is promised of the time between the lock's being had and its release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HoldLimits {
    pub(crate) at_least: Option<Duration>,
    pub(crate) at_most: Option<Duration>,
}

/// As for timeouts, so that one rule is enough to know. Beyond it points in time can't be relied on to exist.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

impl HoldLimits {
    /// # Errors
    ///
    /// When they can't both be kept, or say nothing.
    pub(crate) fn checked(self, id: &LockId) -> Result<Self, Error> {
        let each = [
            ("hold_at_least", self.at_least),
            ("hold_at_most", self.at_most),
        ];
        for (name, limit) in each {
            match limit {
                Some(Duration::ZERO) => {
                    return Err(Error::config(format!(
                        "{name} of lock {id} is zero; leave it out, or give a time above zero"
                    )));
                }
                Some(limit) if limit > LONGEST => {
                    return Err(Error::config(format!(
                        "{name} of lock {id} is {limit:?}, which is too long; give 24 days at most"
                    )));
                }
                _ => {}
            }
        }
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) if least > most => Err(Error::config(format!(
                "lock {id} can't be held for at least {least:?} and at most {most:?}; make hold_at_most the longer one"
            ))),
            _ => Ok(self),
        }
    }

    /// # Errors
    ///
    /// When there is a limit, where `place` can't keep any.
    pub(crate) fn refuse(self, id: &LockId, place: &str) -> Result<(), Error> {
        let name = match self {
            Self {
                at_least: None,
                at_most: None,
            } => return Ok(()),
            Self {
                at_least: Some(_), ..
            } => "hold_at_least",
            Self { .. } => "hold_at_most",
        };
        Err(Error::config(format!(
            "{name} of lock {id} can't be kept {place}; take the lock on a session of pglock's own, without `xact`, or leave {name} out"
        )))
    }

    /// # Errors
    ///
    /// When the body, or what stands for it, can't be stopped.
    pub(crate) fn refuse_at_most(self, id: &LockId) -> Result<(), Error> {
        match self.at_most {
            None => Ok(()),
            Some(_) => Err(Error::config(format!(
                "hold_at_most of lock {id} needs an async body, which can be dropped: a release while a blocking body or the owner of a guard goes on would let a second run overlap; use `run_async` or `try_run_async`"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(at_least: Option<u64>, at_most: Option<u64>) -> Result<HoldLimits, Error> {
        let limits = HoldLimits {
            at_least: at_least.map(Duration::from_millis),
            at_most: at_most.map(Duration::from_millis),
        };
        limits.checked(&"job".into())
    }

    #[test]
    fn limits_that_can_be_kept() {
        for (least, most) in [
            (None, None),
            (Some(1), None),
            (None, Some(1)),
            (Some(5), Some(5)),
            (Some(5), Some(6)),
            (Some(2_147_483_647), None),
        ] {
            assert!(checked(least, most).is_ok(), "{least:?} {most:?}");
        }
    }

    #[test]
    fn limits_that_cannot() {
        for (least, most, message) in [
            (Some(0), None, "hold_at_least of lock \"job\" is zero"),
            (None, Some(0), "hold_at_most of lock \"job\" is zero"),
            (Some(6), Some(5), "at least 6ms and at most 5ms"),
            (Some(2_147_483_648), None, "24 days"),
            (None, Some(2_147_483_648), "24 days"),
        ] {
            let error = checked(least, most).unwrap_err();
            assert!(error.is_config(), "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
