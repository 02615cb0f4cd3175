//! A request for a lock, the same for every kind of connection.

use super::hold_limits::HoldLimits;
use super::isolation::Isolation;
use super::lock_id::{Key, LockId};
use super::options::{AdvisoryMode, OnBusy, WaitPolicy};
use crate::error::Error;

/// Which lock.
#[derive(Clone, Debug)]
pub(crate) struct LockSpec {
    pub(crate) id: LockId,
    /// Its name in metrics.
    pub(crate) label: Option<&'static str>,
    pub(crate) key: Key,
    pub(crate) mode: AdvisoryMode,
    pub(crate) isolation: Isolation,
}

/// The most locks that are acquired together: each has a place in the server's lock table.
const MOST_TOGETHER: usize = 64;

impl LockSpec {
    /// The locks with these IDs, each once, in the order in which to wait for them.
    pub(crate) fn all(
        ids: &[LockId],
        mode: AdvisoryMode,
        label: Option<&'static str>,
    ) -> Result<Vec<Self>, Error> {
        let locks = ids.iter().map(|id| Self::new(id.clone(), mode, label));
        let mut locks = locks.collect::<Result<Vec<_>, _>>()?;
        locks.sort_by_key(|lock| lock.key);
        locks.dedup_by_key(|lock| lock.key);
        match locks.len() {
            0 => Err(Error::config(
                "`advisory_all` was given no lock ID, and would lock nothing; give it one at least",
            )),
            1..=MOST_TOGETHER => Ok(locks),
            many => Err(Error::config(format!(
                "`advisory_all` was given {many} locks, and takes {MOST_TOGETHER} at most, since each needs a place in the server's lock table; lock what they have in common instead"
            ))),
        }
    }

    pub(crate) fn new(
        id: LockId,
        mode: AdvisoryMode,
        label: Option<&'static str>,
    ) -> Result<Self, Error> {
        let isolation = Isolation::here();
        Ok(Self {
            key: isolation.key(&id, Key::checked(&id)?),
            id,
            label,
            mode,
            isolation,
        })
    }

    /// Another lock of whoever asked for this one.
    pub(crate) fn with_id(&self, id: LockId) -> Self {
        Self {
            key: self.isolation.key(&id, Key::of(&id)),
            id,
            ..self.clone()
        }
    }
}

/// Which lock, for how long to wait for it, and how long to hold it.
#[derive(Debug)]
pub(crate) struct LockRequest<L = LockSpec> {
    pub(crate) lock: L,
    pub(crate) wait: WaitPolicy,
    pub(crate) limits: HoldLimits,
    pub(crate) on_busy: OnBusy,
}

impl<L> LockRequest<L> {
    /// The same request, with `lock` replaced.
    pub(crate) fn for_lock<M>(self, to: impl FnOnce(L) -> M) -> LockRequest<M> {
        LockRequest {
            lock: to(self.lock),
            wait: self.wait,
            limits: self.limits,
            on_busy: self.on_busy,
        }
    }
}
