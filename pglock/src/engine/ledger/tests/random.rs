//! Schedules at random. A failing one is cut down to the steps that it takes.

use crate::model::options::AdvisoryMode;
use std::panic::AssertUnwindSafe;

use proptest::prelude::*;

use super::super::*;
use super::check::exclusive_is_alone;
use super::process::{Ask, CallerStage, Move, Process};
use super::server::{Backend, Server};

const KEYS: i64 = 3;
const CALLERS: usize = 8;

struct World {
    server: Server,
    processes: Vec<Process>,
    /// Other programs: each has some locks, and may wait for one.
    others: Vec<Backend>,
    /// Whether orders are read as soon as there are any.
    is_eager: bool,
    /// What was done, to be read when it fails.
    log: Vec<String>,
}

fn limits() -> Limits {
    Limits {
        drain_above: 2,
        session_locks: 3,
        reuse_below: 1,
        locks: 5,
        wait_sessions: 1,
        nested_wait_sessions: 3,
    }
}

fn mode(number: usize) -> AdvisoryMode {
    if number.is_multiple_of(3) {
        AdvisoryMode::Shared
    } else {
        AdvisoryMode::Exclusive
    }
}

impl World {
    fn new(processes: u32, is_eager: bool) -> Self {
        Self {
            server: Server::default(),
            processes: (1..=processes)
                .map(|at| Process::new(limits(), at * 1_000_000))
                .collect(),
            others: vec![1, 2],
            is_eager,
            log: Vec::new(),
        }
    }

    fn check(&mut self) {
        for process in &mut self.processes {
            if self.is_eager {
                process.take_orders();
            }
            process.check(&self.server);
            if self.is_eager && process.inner_moves(&self.server).is_empty() {
                process.check_quiet(&self.server);
            }
        }
        exclusive_is_alone(&self.processes);
    }

    fn step(&mut self, kind: u8, at: usize) {
        let one = at % self.processes.len();
        let at = at / self.processes.len();
        let process = &self.processes[one];
        let pick = |moves: Vec<Move>| (!moves.is_empty()).then(|| moves[at % moves.len()]);
        let with = |stage: CallerStage, step: fn(usize) -> Move| {
            let callers = process.callers.iter().enumerate();
            let callers = callers.filter(|(_, caller)| caller.is(stage));
            pick(callers.map(|(at, _)| step(at)).collect())
        };
        let step = match kind {
            0..=3 => (process.callers.len() < CALLERS).then(|| Move::Ask(ask(process, at))),
            4 => with(CallerStage::Waiting, Move::Withdraw),
            5..=6 => with(CallerStage::Held, Move::Release),
            7 => process
                .callers
                .iter()
                .position(|caller| caller.is(CallerStage::Held) && !caller.confirming)
                .map(Move::Confirm),
            8..=9 => Some(Move::TakeOrder),
            10..=19 => pick(process.inner_moves(&self.server)),
            20 => pick(process.faults()),
            21 => pick((0..process.timers.len()).map(Move::Timer).collect()),
            _ => return self.step_elsewhere(at),
        };
        if let Some(step) = step {
            self.make(one, step);
        }
    }

    fn make(&mut self, process: usize, step: Move) {
        self.log.push(format!("{process}: {step:?}"));
        self.processes[process].make(step, &mut self.server);
    }

    fn step_elsewhere(&mut self, at: usize) {
        if self.others.is_empty() {
            return;
        }
        let other = self.others[at % self.others.len()];
        let at = at / self.others.len();
        let key = i64::try_from(at % 7).unwrap_or(0) % KEYS;
        self.log.push(format!(
            "other {other}: {} of {key} {:?}",
            at % 5,
            mode(at / 5)
        ));
        match at % 5 {
            0 | 1 if !self.server.is_waiting(other) => {
                self.server.try_lock(other, key, mode(at / 5));
            }
            2 if !self.server.is_waiting(other) => self.server.wait(other, key, mode(at / 5)),
            3 => {
                self.server.cancel(other);
            }
            _ => {
                self.server.unlock(other, key, mode(at / 5));
            }
        }
    }

    /// Nobody asks any more, others leave, nothing goes wrong: then each request is granted in the end.
    fn drain(&mut self) {
        for other in self.others.clone() {
            self.server.kill(other);
        }
        for _ in 0..10_000 {
            let mut is_quiet = true;
            for at in 0..self.processes.len() {
                self.processes[at].take_orders();
                if let Some(step) = self.processes[at]
                    .inner_moves(&self.server)
                    .first()
                    .copied()
                {
                    self.make(at, step);
                    is_quiet = false;
                    self.check();
                }
            }
            if !is_quiet {
                continue;
            }
            let mut is_over = true;
            for at in 0..self.processes.len() {
                let process = &self.processes[at];
                process.check_quiet(&self.server);
                let held = process
                    .callers
                    .iter()
                    .position(|caller| caller.is(CallerStage::Held));
                let step = match held {
                    Some(held) => Move::Release(held),
                    None if process.timers.is_empty() => continue,
                    None => Move::Timer(0),
                };
                self.make(at, step);
                is_over = false;
                self.check();
            }
            if is_over {
                break;
            }
        }
        for process in &self.processes {
            assert!(
                process.callers.is_empty(),
                "never answered: {:?}",
                process.callers
            );
            assert_eq!(process.ledger.keys.len(), 0, "keys are left");
            assert_eq!(process.ledger.locks(), 0, "locks are left");
        }
    }
}

fn ask(process: &Process, at: usize) -> Ask {
    let key = i64::try_from(at % 31).unwrap_or(0) % KEYS;
    let at = at / 31;
    let inside = (at / 12)
        .is_multiple_of(3)
        .then_some(at / 36 % (process.callers.len() + 1));
    Ask {
        key,
        mode: mode(at / 3),
        no_wait: at.is_multiple_of(3),
        own_session: (at / 9).is_multiple_of(4),
        inside: inside.filter(|at| {
            process
                .callers
                .get(*at)
                .is_some_and(|caller| caller.is(CallerStage::Held))
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_promise_holds_after_every_step(
        processes in 1_u32..=2,
        is_eager: bool,
        steps in steps(),
    ) {
        run(World::new(processes, is_eager), &steps, |_| {})?;
    }

    /// So without a server, too, the locks of a process exclude each other.
    #[test]
    fn a_process_that_is_alone_on_the_server_is_never_refused(is_eager: bool, steps in steps()) {
        let mut world = World::new(1, is_eager);
        world.others.clear();
        run(world, &steps, |world| {
            assert!(!world.processes[0].was_refused, "it was refused");
        })?;
    }
}

fn steps() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0_u8..24, 0_usize..100_000), 1..200)
}

/// Takes the steps and looks at all after each.
fn run(
    mut world: World,
    steps: &[(u8, usize)],
    look: impl Fn(&World),
) -> Result<(), TestCaseError> {
    let run = AssertUnwindSafe(|| {
        for (kind, at) in steps {
            world.step(*kind, *at);
            world.check();
            look(&world);
        }
        world.drain();
    });
    match std::panic::catch_unwind(run) {
        Ok(()) => Ok(()),
        Err(_) => Err(TestCaseError::fail(world.log.join("\n"))),
    }
}
