//! What must be true after every step.

use crate::model::options::AdvisoryMode;
use std::collections::HashSet;

use super::super::*;
use super::process::{CallerSim, CallerStage, Process, WaitStage, number};
use super::server::Server;

impl CallerSim {
    pub(super) fn is(&self, stage: CallerStage) -> bool {
        self.stage == stage
    }

    fn queues(&self) -> bool {
        self.is(CallerStage::Waiting) && !self.ask.no_wait
    }
}

/// No exclusive holder has company, in any process.
pub(super) fn exclusive_is_alone(processes: &[Process]) {
    let held: Vec<_> = processes.iter().flat_map(Process::held).collect();
    for one in held
        .iter()
        .filter(|one| one.ask.mode == AdvisoryMode::Exclusive)
    {
        let others = held.iter().filter(|other| other.ask.key == one.ask.key);
        assert_eq!(
            others.count(),
            1,
            "an exclusive holder of {} is not alone",
            one.ask.key
        );
    }
}

impl Process {
    /// Those that hold a lock on a session that lives.
    fn held(&self) -> impl Iterator<Item = &CallerSim> {
        let held = self
            .callers
            .iter()
            .filter(|caller| caller.is(CallerStage::Held));
        held.filter(|caller| caller.session.is_some_and(|id| !self.session(id).is_dead))
    }

    pub(super) fn check(&mut self, server: &Server) {
        for caller in self.held() {
            let backend = self.session(caller.session.expect("it is held")).backend;
            let [exclusive, shared] = server.held(backend, caller.ask.key);
            let has_it = exclusive > 0 || caller.ask.mode == AdvisoryMode::Shared && shared > 0;
            assert!(
                has_it,
                "the server doesn't know a holder of {}",
                caller.ask.key
            );
        }
        for granted in std::mem::take(&mut self.granted) {
            let overtaken = self.callers.iter().find(|caller| {
                caller.queues() && caller.ask.key == granted.ask.key && caller.order < granted.order
            });
            assert!(
                overtaken.is_none(),
                "{granted:?} has overtaken {overtaken:?}"
            );
        }
        for caller in 0..self.callers.len() {
            assert!(
                !self.closes_ring(caller, true),
                "a deadlock that nobody is told of"
            );
        }
        self.sessions_agree(server);
        self.those_alone_are_alone();
        self.free_keys_are_forgotten();
        let count = self
            .waits
            .iter()
            .filter(|wait| wait.order.own.is_none() && wait.session.is_none());
        let ordered = self.ledger.waits.active.iter().filter(|key| {
            let wait = self.ledger.keys[**key].wait.as_ref();
            wait.is_some_and(|wait| !wait.is_sent() && wait.session.is_none())
        });
        let open = self.ledger.count_wait_sessions();
        assert_eq!(
            self.ledger.waits.sessions,
            open + count.count() + ordered.count()
        );
        assert!(self.ledger.waits.sessions <= self.ledger.limits.nested_wait_sessions);
    }

    /// A session that is asked nothing has in the server what the ledger thinks.
    fn sessions_agree(&self, server: &Server) {
        for session in self
            .sessions
            .iter()
            .filter(|session| !session.is_dead && session.batch.is_empty())
        {
            if self
                .waits
                .iter()
                .any(|wait| wait.session == Some(session.id))
            {
                continue;
            }
            let state = &self.ledger.sessions[session.id.0];
            let mut held: Vec<_> = state
                .held
                .iter()
                .map(|key| number(self.ledger.keys[*key].key))
                .collect();
            held.sort_unstable();
            assert_eq!(
                held,
                server.keys(session.backend),
                "the ledger is wrong about a session"
            );
            for key in &state.held {
                let grant = self.ledger.keys[*key].grant(session.id.0);
                let mut expected = [0, 0];
                expected[grant.mode as usize] = 1;
                assert_eq!(
                    server.held(session.backend, number(self.ledger.keys[*key].key)),
                    expected
                );
            }
        }
    }

    fn free_keys_are_forgotten(&self) {
        let mut used: HashSet<_> = self.callers.iter().map(|caller| caller.ask.key).collect();
        used.extend(self.waits.iter().map(|wait| number(wait.order.key)));
        for session in &self.sessions {
            used.extend(session.batch.iter().map(|op| number(op.key)));
            let held = self.ledger.sessions[session.id.0].held.iter();
            used.extend(held.map(|key| number(self.ledger.keys[*key].key)));
        }
        assert_eq!(self.ledger.by_key.len(), self.ledger.keys.len());
        for key in self.ledger.by_key.keys() {
            assert!(
                used.contains(&number(*key)),
                "{key:?} is free and not forgotten"
            );
        }
        assert_eq!(
            self.ledger.callers.len(),
            self.callers.len(),
            "a caller is forgotten, or kept"
        );
    }

    /// One operation for a key at a time, or a pair; unlocks first; none for what is held or in flight elsewhere.
    pub(super) fn check_batch(&self, at: usize) {
        let batch = &self.sessions[at].batch;
        let mut order = 0;
        let mut previous: Option<Op> = None;
        let mut seen = HashSet::new();
        for op in batch {
            let after_unlock = previous.is_some_and(|previous| {
                previous.key == op.key && matches!(previous.action, Action::Unlock(_))
            });
            let second = matches!(op.action, Action::Try(_)) && after_unlock;
            assert!(
                seen.insert(op.key) || second,
                "two operations for {:?} in a batch",
                op.key
            );
            let class = match op.action {
                Action::Unlock(_) | Action::Confirm | Action::ProbeShared => 0,
                Action::Try(_) if second => 1,
                Action::Try(_) => 2,
            };
            // The unlock of a pair comes after the others.
            assert!(
                class >= order || class == 0 && order == 1,
                "unlocks come first"
            );
            order = class;
            previous = Some(*op);
            let callers = self
                .callers
                .iter()
                .filter(|caller| number(op.key) == caller.ask.key);
            let mut holders = callers.filter(|caller| caller.session == Some(self.sessions[at].id));
            if matches!(op.action, Action::Unlock(_)) {
                assert!(
                    holders.all(|caller| caller.is(CallerStage::Releasing)),
                    "unlocks what is held"
                );
            }
            for (other, session) in self
                .sessions
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
            {
                let mut unanswered = session.batch[session.delivered..].iter();
                let harmless = |other: &Op| {
                    let probes = |op: &Op| op.action == Action::ProbeShared;
                    let confirms = |op: &Op| op.action == Action::Confirm;
                    probes(op) && confirms(other) || confirms(op) && probes(other)
                };
                let in_flight = unanswered.any(|other| other.key == op.key && !harmless(other));
                assert!(
                    !in_flight || session.is_dead && other != at,
                    "{op:?} while {session:?} is asked"
                );
            }
        }
    }

    /// Where nothing is under way, each that waits has a reason, and nothing is left over.
    pub(super) fn check_quiet(&self, server: &Server) {
        for caller in &self.callers {
            assert!(
                !caller.is(CallerStage::Releasing),
                "a release is never answered: {caller:?}"
            );
            assert!(
                !caller.confirming,
                "a confirmation is never answered: {caller:?}"
            );
            let tries = caller.is(CallerStage::Waiting) && caller.ask.no_wait;
            assert!(!tries, "waits though it only tries: {caller:?}");
        }
        for session in &self.sessions {
            for key in server.keys(session.backend) {
                let mut held = self.held().filter(|caller| caller.ask.key == key);
                assert!(
                    held.any(|caller| caller.session == Some(session.id)),
                    "{key} is kept for nobody"
                );
            }
        }
        for wait in &self.waits {
            let mut callers = self.callers.iter().filter(|caller| caller.queues());
            let wanted = callers.any(|caller| caller.ask.key == number(wait.order.key));
            assert!(wanted, "waits for nobody: {wait:?}");
        }
        for caller in self.callers.iter().filter(|caller| caller.queues()) {
            let key = caller.ask.key;
            let mut queue = self
                .callers
                .iter()
                .filter(|other| other.queues() && other.ask.key == key);
            let is_head = queue.all(|other| other.order >= caller.order);
            let conflicts = |held: &&CallerSim| {
                held.ask.key == key
                    && (held.ask.mode == AdvisoryMode::Exclusive
                        || caller.ask.mode == AdvisoryMode::Exclusive)
            };
            let held = self.held().any(|held| conflicts(&held))
                || self.ledger.find(Key::Big(key)).is_some_and(|id| {
                    let mut grants = self.ledger.keys[id].grants.iter();
                    grants.any(|grant| grant.mode == AdvisoryMode::Exclusive)
                });
            let waits = |wait: &super::process::WaitSim| {
                number(wait.order.key) == key && wait.stage == WaitStage::InServer
            };
            let waits = self.waits.iter().any(waits);
            let polled = self.timers.iter().any(|(polled, _)| *polled == key);
            let reason = !is_head || held || waits || polled && caller.enclosing.is_empty();
            assert!(reason, "nobody will wake {caller:?}");
        }
    }

    /// Whether a request waits for itself; `hard`: by locks alone, and not by the order of the queue.
    pub(super) fn closes_ring(&self, request: usize, hard: bool) -> bool {
        let mut found = HashSet::new();
        let mut open = vec![request];
        while let Some(at) = open.pop() {
            let waiting = &self.callers[at];
            let conflicts = |held: &CallerSim| {
                !hard
                    || held.ask.mode == AdvisoryMode::Exclusive
                    || waiting.ask.mode == AdvisoryMode::Exclusive
            };
            for held in self
                .callers
                .iter()
                .filter(|held| held.is(CallerStage::Held))
            {
                if held.ask.key != waiting.ask.key || !conflicts(held) {
                    continue;
                }
                let inside = |caller: &CallerSim| {
                    caller.queues() && caller.enclosing.iter().any(|hold| held.hold == Some(*hold))
                };
                for (next, caller) in self.callers.iter().enumerate() {
                    if inside(caller) && found.insert(next) {
                        open.push(next);
                    }
                }
            }
        }
        self.callers[request].queues() && found.contains(&request)
    }
}

impl Ledger {
    fn count_wait_sessions(&self) -> usize {
        let sessions = self.sessions.iter();
        sessions
            .filter(|session| session.kind == super::super::state::session::SessionKind::Wait)
            .count()
    }
}
