//! How long a lock is held: at least, even if the body is faster, and at most.

use std::time::Duration;

use crate::error::{Error, humanize};
use crate::model::lock_id::LockId;
use crate::model::options::LONGEST_TIME;

/// Bounds on how long a lock is held, counted from when the caller receives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HoldLimits {
    pub(crate) at_least: Option<Duration>,
    pub(crate) at_most: Option<Duration>,
}

impl HoldLimits {
    /// # Errors
    ///
    /// When one is zero or too long, or when they exclude each other.
    pub(crate) fn checked(self, id: &LockId) -> Result<Self, Error> {
        let each = [
            ("hold_at_least", self.at_least),
            ("hold_at_most", self.at_most),
        ];
        for (name, limit) in each {
            match limit {
                Some(Duration::ZERO) => {
                    return Err(Error::config(format!(
                        "`{name}` of lock {id} is zero; leave it out, or write a time above zero"
                    )));
                }
                Some(limit) if limit > LONGEST_TIME => {
                    return Err(Error::config(format!(
                        "`{name}` of lock {id} is too long ({}); write 24 days at most",
                        humanize::duration(limit)
                    )));
                }
                _ => {}
            }
        }
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) if least > most => Err(Error::config(format!(
                "lock {id} cannot be held for at least {} and at most {}; make `hold_at_most` the longer one",
                humanize::duration(least),
                humanize::duration(most)
            ))),
            _ => Ok(self),
        }
    }

    /// # Errors
    ///
    /// When a limit is set. `place` says where none can be kept, as in "in a transaction".
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
            "`{name}` of lock {id} is not possible {place}; acquire the lock on pglock's own session, without `xact`, or leave `{name}` out"
        )))
    }

    /// # Errors
    ///
    /// When `hold_at_most` is set. Only an async body can be stopped, so all other calls reject it.
    pub(crate) fn refuse_at_most(self, id: &LockId) -> Result<(), Error> {
        match self.at_most {
            None => Ok(()),
            Some(_) => Err(Error::config(format!(
                "`hold_at_most` of lock {id} needs an async body, which can be dropped: a blocking body, or the owner of a guard, would continue after the release and overlap with the next run; use `run_async` or `try_run_async`"
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
            (Some(0), None, "`hold_at_least` of lock \"job\" is zero"),
            (None, Some(0), "`hold_at_most` of lock \"job\" is zero"),
            (Some(6), Some(5), "at least 6 ms and at most 5 ms"),
            (Some(2_147_483_648), None, "24 days"),
            (None, Some(2_147_483_648), "24 days"),
        ] {
            let error = checked(least, most).unwrap_err();
            assert!(error.is_config(), "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
