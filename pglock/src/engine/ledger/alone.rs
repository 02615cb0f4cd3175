//! What a caller may carry out itself: the one operation that would be sent next in any case, since nobody else of this
//! process has to do with the key or the session.

use super::Ledger;
use super::orders::{HoldId, SessionId};
use super::state::session::SessionKind;
use super::state::slab::Id;
use crate::model::lock_id::Key;

impl Ledger {
    /// The session whose next batch would be a `try` for this key, and nothing else, if it were asked for now.
    pub(crate) fn session_to_try_on(&self, key: Key) -> Option<SessionId> {
        let active = self.active?;
        let can_try = self.find(key).is_none()
            && self.has_room()
            && !self.is_full(active)
            && self.is_idle(active);
        can_try.then_some(SessionId(active))
    }

    /// The session whose next batch would be the `unlock` of this lock, and nothing else, if it were released now.
    pub(crate) fn session_to_unlock_on(&self, hold: HoldId) -> Option<SessionId> {
        let (caller, session) = self.holding(hold)?;
        let key = &self.keys[self.callers[caller].key];
        let nobody_waits = key.queue.is_empty() && !key.has_tries() && key.wait.is_none();
        let nothing_is_sent = key.flight.is_none() && key.probe.is_none();
        let [grant] = key.grants.as_slice() else {
            return None;
        };
        let nobody_shares = grant.holders.iter(&self.callers).eq([caller])
            && grant.leaving.is_empty()
            && grant.confirming.is_empty();
        let can_unlock = nobody_waits && nothing_is_sent && nobody_shares && self.is_idle(session);
        can_unlock.then_some(SessionId(session))
    }

    /// Whether a shared session has nothing to do.
    fn is_idle(&self, session: Id) -> bool {
        let state = &self.sessions[session];
        state.kind == SessionKind::Shared
            && state.unanswered == 0
            && state.waiting.is_none()
            && !state.has_ended
            && !self.has_work(session)
    }
}
