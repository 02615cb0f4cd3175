//! Two processes in the same state behave the same: their fingerprints are equal, however they came there.

use std::collections::VecDeque;
use std::fmt::Write;

use super::super::state::caller::List;
use super::super::state::key::{Grant, KeyState};
use super::super::*;
use super::process::{Process, number};

impl Process {
    /// All that the next steps depend on, with ids as places in the lists of the process, and times by their order.
    pub(super) fn fingerprint(&self) -> String {
        let mut text = String::new();
        let times = self.times();
        let time = |time: u64| times.binary_search(&time).unwrap_or(usize::MAX);
        for caller in &self.callers {
            let since = self.ledger.callers[caller.request.0].since;
            let inside: Vec<_> = caller
                .enclosing
                .iter()
                .map(|hold| self.caller(hold.0))
                .collect();
            let session = caller.session.map(|session| self.place(session.0));
            let what = (
                caller.ask,
                caller.stage,
                caller.confirming,
                time(since),
                inside,
                session,
            );
            write!(text, "{what:?}").expect("a string has room");
        }
        for session in &self.sessions {
            let state = &self.ledger.sessions[session.id.0];
            let lists = (self.names(&state.held), self.queue(&state.ready));
            let what = (
                session.backend,
                session.sendable,
                &session.batch,
                &session.ran,
                session.delivered,
            );
            let waiting = state.waiting.and_then(|key| self.name(key));
            let rest = (
                session.is_dead,
                state.kind,
                state.unanswered,
                state.announced,
                waiting,
            );
            write!(text, "{lists:?}{what:?}{rest:?}").expect("a string has room");
        }
        for wait in &self.waits {
            let session = wait.session.map(|session| self.place(session.0));
            let own = wait.order.own.map(|own| self.caller(own.0));
            let what = (
                wait.order.key,
                wait.order.mode,
                own,
                session,
                wait.stage,
                wait.cancel,
            );
            write!(text, "{what:?}").expect("a string has room");
        }
        let polls: Vec<_> = self
            .timers
            .iter()
            .map(|(key, timer)| (key, time(*timer)))
            .collect();
        write!(text, "{polls:?}{:?}", self.opening).expect("a string has room");
        let mut keys: Vec<_> = self.ledger.keys.iter().collect();
        keys.sort_by_key(|key| key.key);
        for key in keys {
            self.add_key(&mut text, key, &time);
        }
        let ledger = &self.ledger;
        let lists = [&ledger.tries, &ledger.probes].map(|list| self.queue(list));
        let ready: Vec<_> = ledger
            .ready
            .iter()
            .map(|session| self.place(*session))
            .collect();
        let places =
            [ledger.active, ledger.helper].map(|session| session.map(|one| self.place(one)));
        let opening = (ledger.opening.shared, ledger.opening.helper);
        let opening = (
            opening.0.map(time),
            opening.1.map(time),
            ledger.opening.successor,
        );
        let waits = &ledger.waits;
        let idle: Vec<_> = waits
            .idle
            .iter()
            .map(|session| self.place(*session))
            .collect();
        let waits = (
            waits.sessions,
            self.names(&waits.active),
            idle,
            waits.has_line(),
        );
        write!(text, "{lists:?}{ready:?}{places:?}{opening:?}{waits:?}")
            .expect("a string has room");
        text
    }

    fn add_key(&self, text: &mut String, key: &KeyState, time: &impl Fn(u64) -> usize) {
        let list = |list: &List<0>| -> Vec<_> {
            list.iter(&self.ledger.callers)
                .map(|caller| self.caller(caller))
                .collect()
        };
        let grant = |grant: &Grant| {
            let lists = (list(&grant.holders), list(&grant.leaving));
            let confirming = grant
                .confirming
                .iter()
                .map(|(caller, since)| (self.caller(*caller), time(*since)));
            let confirming: Vec<_> = confirming.collect();
            (
                self.place(grant.session),
                grant.mode,
                lists,
                confirming,
                time(grant.confirmed),
                grant.listed,
            )
        };
        let grants: Vec<_> = key.grants.iter().map(grant).collect();
        let flight = key.flight.map(|flight| (flight.step, time(flight.sent)));
        let wait = key.wait.as_ref().map(|wait| {
            let own = wait.own.map(|own| self.caller(own));
            (
                wait.mode,
                wait.phase,
                own,
                wait.session.map(|session| self.place(session)),
            )
        });
        let lines = (list(&key.queue), key.tries.each_ref().map(list));
        let probe = (key.probe.map(time), time(key.probed), key.refused);
        let poll = (
            key.poll.timer.map(time),
            key.poll.due,
            key.in_tries,
            key.in_probes,
        );
        write!(
            text,
            "{:?}{lines:?}{grants:?}{flight:?}{wait:?}{probe:?}{poll:?}",
            key.key
        )
        .expect("a string has room");
    }

    fn times(&self) -> Vec<u64> {
        let mut times: Vec<_> = self
            .ledger
            .callers
            .iter()
            .map(|caller| caller.since)
            .collect();
        times.extend(self.timers.iter().map(|(_, timer)| timer));
        times.extend(self.ledger.opening.shared);
        times.extend(self.ledger.opening.helper);
        for key in self.ledger.keys.iter() {
            times.extend(key.flight.map(|flight| flight.sent));
            times.extend(key.probe);
            times.push(key.probed);
            times.extend(key.poll.timer);
            for grant in &key.grants {
                times.push(grant.confirmed);
                times.extend(grant.confirming.iter().map(|(_, since)| since));
            }
        }
        times.sort_unstable();
        times.dedup();
        times
    }

    /// `None`: of one that is gone.
    fn caller(&self, id: Id) -> Option<usize> {
        self.callers
            .iter()
            .position(|caller| caller.request.0 == id)
    }

    fn place(&self, id: Id) -> Option<usize> {
        self.sessions.iter().position(|session| session.id.0 == id)
    }

    fn name(&self, key: Id) -> Option<i64> {
        self.ledger.keys.get(key).map(|key| number(key.key))
    }

    fn names(&self, keys: &[Id]) -> Vec<Option<i64>> {
        keys.iter().map(|key| self.name(*key)).collect()
    }

    fn queue(&self, keys: &VecDeque<Id>) -> Vec<Option<i64>> {
        keys.iter().map(|key| self.name(*key)).collect()
    }
}
