//! The state of a key.

use super::caller::{List, NESTED, PLACE};
use super::slab::Id;
use super::wait::{Poll, Wait};
use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;

#[derive(Clone)]
pub(in crate::engine::ledger) struct KeyState {
    pub(in crate::engine::ledger) key: Key,
    /// Those who wait, in the order in which they asked.
    pub(in crate::engine::ledger) queue: List<PLACE>,
    /// How many of them want it exclusive.
    pub(in crate::engine::ledger) exclusives: u32,
    /// Those of them that hold locks meanwhile.
    pub(in crate::engine::ledger) nested: List<NESTED>,
    /// Those who don't wait, by mode.
    pub(in crate::engine::ledger) tries: [List<PLACE>; 2],
    /// What sessions of ours have in the server: one, or several that are shared.
    pub(in crate::engine::ledger) grants: Vec<Grant>,
    pub(in crate::engine::ledger) flight: Option<Flight>,
    /// When the probe in flight was sent.
    pub(in crate::engine::ledger) probe: Option<u64>,
    /// When the last probe was sent that found no writer waiting.
    pub(in crate::engine::ledger) probed: u64,
    /// The weakest mode that the server has refused since somebody waits.
    pub(in crate::engine::ledger) refused: Option<AdvisoryMode>,
    pub(in crate::engine::ledger) wait: Option<Wait>,
    pub(in crate::engine::ledger) poll: Poll,
    pub(in crate::engine::ledger) in_tries: bool,
    pub(in crate::engine::ledger) in_probes: bool,
    pub(in crate::engine::ledger) in_line: bool,
    /// The last search for a ring that came by.
    pub(in crate::engine::ledger) searched: u64,
}

/// A lock that a session of ours has in the server.
#[derive(Clone)]
pub(in crate::engine::ledger) struct Grant {
    pub(in crate::engine::ledger) session: Id,
    pub(in crate::engine::ledger) mode: AdvisoryMode,
    /// Where the key is in the session's list.
    pub(in crate::engine::ledger) position: usize,
    pub(in crate::engine::ledger) holders: List<PLACE>,
    /// Those who have released it, and have not heard yet that it was held to then.
    pub(in crate::engine::ledger) leaving: List<PLACE>,
    /// Holders that want to hear that it is held, and since when.
    pub(in crate::engine::ledger) confirming: Vec<(Id, u64)>,
    /// When the last statement was sent by whose answer it is held.
    pub(in crate::engine::ledger) confirmed: u64,
    /// Whether its session has been told that there may be something to send.
    pub(in crate::engine::ledger) listed: bool,
}

/// An operation that was sent and not answered.
#[derive(Clone, Copy)]
pub(in crate::engine::ledger) struct Flight {
    pub(in crate::engine::ledger) sent: u64,
    pub(in crate::engine::ledger) step: Step,
}

/// What a batch does about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::ledger) enum Step {
    Unlock {
        then_try: Option<AdvisoryMode>,
    },
    Try {
        mode: AdvisoryMode,
        after_unlock: bool,
    },
    Confirm,
    /// What follows an unlock that was not run.
    Nothing,
}

impl KeyState {
    pub(in crate::engine::ledger) fn new(key: Key) -> Self {
        Self {
            key,
            queue: List::default(),
            exclusives: 0,
            nested: List::default(),
            tries: [List::default(); 2],
            grants: Vec::new(),
            flight: None,
            probe: None,
            probed: 0,
            refused: None,
            wait: None,
            poll: Poll::default(),
            in_tries: false,
            in_probes: false,
            in_line: false,
            searched: 0,
        }
    }

    pub(in crate::engine::ledger) fn grant(&self, session: Id) -> &Grant {
        let mut grants = self.grants.iter();
        grants
            .find(|grant| grant.session == session)
            .expect("a holder's session has the lock")
    }

    pub(in crate::engine::ledger) fn grant_mut(&mut self, session: Id) -> &mut Grant {
        let mut grants = self.grants.iter_mut();
        grants
            .find(|grant| grant.session == session)
            .expect("a holder's session has the lock")
    }

    /// Whether a caller of ours holds it.
    pub(in crate::engine::ledger) fn is_held(&self) -> bool {
        self.grants.iter().any(|grant| !grant.holders.is_empty())
    }

    pub(in crate::engine::ledger) fn has_tries(&self) -> bool {
        self.tries.iter().any(|tries| !tries.is_empty())
    }

    pub(in crate::engine::ledger) fn is_refused(&self, mode: AdvisoryMode) -> bool {
        match self.refused {
            None => false,
            Some(AdvisoryMode::Shared) => true,
            Some(AdvisoryMode::Exclusive) => mode == AdvisoryMode::Exclusive,
        }
    }

    /// Whether nobody has to do with it any more.
    pub(in crate::engine::ledger) fn is_free(&self) -> bool {
        self.queue.is_empty()
            && !self.has_tries()
            && self.grants.is_empty()
            && self.flight.is_none()
            && self.probe.is_none()
            && self.wait.is_none()
    }
}
