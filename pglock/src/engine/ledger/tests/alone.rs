//! What a caller may carry out itself is what would be sent next, and nothing else.

use super::super::*;
use super::process::{CallerStage, Process};
use crate::model::options::AdvisoryMode::{Exclusive, Shared};

/// All that a session is to be sent now.
fn batch(ledger: &mut Ledger, session: SessionId) -> Vec<Action> {
    let mut ops = Vec::new();
    ledger.next_batch(session, usize::MAX, &mut ops);
    ops.iter().map(|op| op.action).collect()
}

impl Process {
    pub(super) fn those_alone_are_alone(&self) {
        for key in 0..4 {
            self.a_try_alone(Key::Big(key));
        }
        let held = self.callers.iter();
        let held = held.filter(|caller| caller.stage == CallerStage::Held);
        for hold in held.filter_map(|caller| caller.hold) {
            self.an_unlock_alone(hold);
        }
    }

    fn a_try_alone(&self, key: Key) {
        let Some(session) = self.ledger.session_to_try_on(key) else {
            return;
        };
        for mode in [Exclusive, Shared] {
            let mut ledger = self.ledger.clone();
            ledger.drain_effects();
            let asked = ledger.ask(LedgerRequest {
                key,
                mode,
                no_wait: false,
                own_session: false,
                enclosing: &[],
                holds_elsewhere: false,
            });
            assert_eq!(batch(&mut ledger, session), [Action::Try(mode)]);
            ledger.answer(session, 0, Answer::Yes);
            let effects: Vec<Effect> = ledger.drain_effects().collect();
            assert!(
                matches!(effects[..], [Effect::Granted { request, .. }] if request == asked),
                "{effects:?}"
            );
        }
    }

    fn an_unlock_alone(&self, hold: HoldId) {
        let Some(session) = self.ledger.session_to_unlock_on(hold) else {
            return;
        };
        let mut ledger = self.ledger.clone();
        ledger.drain_effects();
        ledger.release(hold);
        let sent = batch(&mut ledger, session);
        assert!(matches!(sent[..], [Action::Unlock(_)]), "{sent:?}");
        ledger.answer(session, 0, Answer::Yes);
        let effects: Vec<Effect> = ledger.drain_effects().collect();
        assert!(
            matches!(effects[..], [Effect::Released { hold: it, was_held: true }] if it == hold),
            "{effects:?}"
        );
    }
}
