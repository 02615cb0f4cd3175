//! A request for a lock, the same for every kind of connection.

use super::hold_limits::HoldLimits;
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
}

impl LockSpec {
    pub(crate) fn new(
        id: LockId,
        mode: AdvisoryMode,
        label: Option<&'static str>,
    ) -> Result<Self, Error> {
        Ok(Self {
            key: Key::checked(&id)?,
            id,
            label,
            mode,
        })
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
