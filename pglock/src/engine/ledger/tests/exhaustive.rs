//! Small cases whole: two processes, three callers that ask once each, every order of all that can happen.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::super::*;
use super::check::exclusive_is_alone;
use super::process::{Ask, CallerStage, Move, Process};
use super::server::Server;
use crate::model::options::AdvisoryMode::{self, Exclusive, Shared};

#[derive(Clone)]
struct State {
    server: Server,
    processes: [Process; 2],
    /// What each is yet to ask.
    asks: [Vec<Ask>; 2],
    /// How many sessions may yet die.
    deaths: usize,
}

impl State {
    fn new(asks: [Vec<Ask>; 2], deaths: usize) -> Self {
        let process = |base| Process::new(Limits::default(), base);
        Self {
            server: Server::default(),
            processes: [process(100), process(200)],
            asks,
            deaths,
        }
    }

    fn moves(&self) -> Vec<(usize, Move)> {
        let mut moves = Vec::new();
        for (at, process) in self.processes.iter().enumerate() {
            let mut add = |step| moves.push((at, step));
            process
                .inner_moves(&self.server)
                .into_iter()
                .for_each(&mut add);
            if let Some(ask) = self.asks[at].first() {
                add(Move::Ask(*ask));
            }
            for (caller, state) in process.callers.iter().enumerate() {
                match state.stage {
                    CallerStage::Waiting => add(Move::Withdraw(caller)),
                    CallerStage::Held => add(Move::Release(caller)),
                    CallerStage::Releasing => {}
                }
            }
            if self.deaths > 0 {
                (0..process.sessions.len())
                    .filter(|session| !process.sessions[*session].is_dead)
                    .for_each(|session| add(Move::Kill(session)));
            }
        }
        moves
    }

    fn make(&mut self, process: usize, step: Move) {
        match step {
            Move::Ask(_) => drop(self.asks[process].remove(0)),
            Move::Kill(_) => self.deaths -= 1,
            _ => {}
        }
        self.processes[process].make(step, &mut self.server);
        for process in &mut self.processes {
            process.take_orders();
            process.check(&self.server);
            if process.inner_moves(&self.server).is_empty() {
                process.check_quiet(&self.server);
            }
        }
        exclusive_is_alone(&self.processes);
    }

    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.server.hash(&mut hasher);
        self.asks.hash(&mut hasher);
        self.deaths.hash(&mut hasher);
        for process in &self.processes {
            process.fingerprint().hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// Goes through all states that there are.
fn explore(asks: [Vec<Ask>; 2], deaths: usize) {
    let mut seen = HashSet::new();
    let mut open = vec![State::new(asks, deaths)];
    while let Some(state) = open.pop() {
        for (process, step) in state.moves() {
            let mut next = state.clone();
            next.make(process, step);
            if seen.insert(next.fingerprint()) {
                open.push(next);
            }
        }
    }
}

fn ask(key: i64, mode: AdvisoryMode) -> Ask {
    Ask {
        key,
        mode,
        no_wait: false,
        own_session: false,
        inside: None,
    }
}

fn inside(outer: usize, ask: Ask) -> Ask {
    Ask {
        inside: Some(outer),
        ..ask
    }
}

fn no_wait(ask: Ask) -> Ask {
    Ask {
        no_wait: true,
        ..ask
    }
}

fn own_session(ask: Ask) -> Ask {
    Ask {
        own_session: true,
        ..ask
    }
}

#[test]
fn two_callers_and_one_of_another_process_want_a_key() {
    for [one, two, other] in [
        [Exclusive, Exclusive, Exclusive],
        [Shared, Shared, Exclusive],
        [Exclusive, Shared, Shared],
        [Shared, Exclusive, Shared],
    ] {
        explore([vec![ask(1, one), ask(1, two)], vec![ask(1, other)]], 0);
    }
}

#[test]
fn one_of_them_does_not_wait() {
    for [one, two, other] in [
        [Exclusive, Exclusive, Exclusive],
        [Shared, Shared, Exclusive],
        [Exclusive, Shared, Shared],
    ] {
        let asks = [vec![ask(1, one), no_wait(ask(1, two))], vec![ask(1, other)]];
        explore(asks, 0);
    }
}

#[test]
fn one_of_them_wants_a_session_of_its_own() {
    for [one, two, other] in [
        [Exclusive, Exclusive, Exclusive],
        [Shared, Shared, Exclusive],
        [Exclusive, Shared, Shared],
    ] {
        let asks = [
            vec![ask(1, one), own_session(ask(1, two))],
            vec![ask(1, other)],
        ];
        explore(asks, 0);
    }
    let tries = no_wait(own_session(ask(1, Exclusive)));
    explore([vec![ask(1, Exclusive), tries], vec![]], 0);
}

#[test]
fn a_session_dies() {
    for [one, two] in [[Exclusive, Exclusive], [Shared, Shared]] {
        explore([vec![ask(1, one), ask(1, two)], vec![]], 1);
    }
    explore([vec![ask(1, Exclusive)], vec![ask(1, Exclusive)]], 1);
}

#[test]
fn two_calls_nest_in_opposite_order() {
    let outer = [ask(1, Exclusive), ask(2, Exclusive)];
    let inner = [inside(0, ask(2, Exclusive)), inside(1, ask(1, Exclusive))];
    explore([[outer, inner].concat(), vec![]], 0);
    let nested = vec![ask(1, Exclusive), inside(0, ask(2, Exclusive))];
    explore([nested, vec![ask(2, Exclusive)]], 0);
}
