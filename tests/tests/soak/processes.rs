//! The workers' processes, each in its place; one that was killed is followed by another.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fastrand::Rng;
use pglock_tests::{Child, TestDb};

use crate::history::{Call, History, ProcessId};
use crate::log::{self, Time, nanos};

/// How long a process may take to end what it has begun: whoever waits without end has others before it, each with a body
/// and waits of its own. Mostly it is a second.
const END_BOUND: Duration = Duration::from_secs(60);

pub(crate) struct Processes<'r> {
    db: &'r TestDb,
    logs: &'r Path,
    until: Time,
    round: u64,
    places: Vec<Place>,
    started: ProcessId,
}

struct Place {
    rng: Rng,
    process: ProcessId,
    child: Child,
}

impl<'r> Processes<'r> {
    pub(crate) fn start(
        db: &'r TestDb,
        logs: &'r Path,
        until: Time,
        places: usize,
        round: u64,
    ) -> (Self, Rng) {
        let mut rng = Rng::with_seed(round);
        let mut processes = Self {
            db,
            logs,
            until,
            round,
            places: Vec::new(),
            started: 0,
        };
        for _ in 0..places {
            let place = processes.start_another(rng.fork());
            processes.places.push(place);
        }
        (processes, rng)
    }

    fn start_another(&mut self, mut rng: Rng) -> Place {
        let process = self.started;
        self.started += 1;
        let child = Child::of("soak", "worker")
            .argument("NUMBER", process.to_string())
            .argument("URL", self.db.url())
            .argument("LOG", self.log(process))
            .argument("UNTIL", nanos(self.until).to_string())
            .argument("ROUND", self.round.to_string())
            .argument("SEED", rng.u64(..).to_string())
            .start();
        Place {
            rng,
            process,
            child,
        }
    }

    fn log(&self, process: ProcessId) -> PathBuf {
        self.logs.join(format!("process-{process}"))
    }

    /// Kills the process in that place, and starts another one: which it was.
    pub(crate) fn kill(&mut self, place: usize) -> ProcessId {
        self.places[place].child.kill();
        let rng = self.places[place].rng.fork();
        let other = self.start_another(rng);
        std::mem::replace(&mut self.places[place], other).process
    }

    pub(crate) fn freeze(&self, place: usize) -> ProcessId {
        self.places[place].child.freeze();
        self.places[place].process
    }

    pub(crate) fn thaw(&self, place: usize) {
        self.places[place].child.thaw();
    }

    /// Waits until all have done what they had begun; they don't end, so that what they leave behind stays.
    pub(crate) fn wait_until_idle(&mut self) {
        for place in &mut self.places {
            place.child.wait_for_line("idle", END_BOUND);
        }
    }

    pub(crate) fn end(&mut self) {
        for place in &mut self.places {
            place.child.finish(END_BOUND);
        }
    }

    /// The calls of those that live that have not returned.
    pub(crate) fn open_calls(&self) -> Vec<Call> {
        let mut history = History::default();
        self.read_logs(&mut history);
        let mut calls = history.calls;
        calls.retain(|call| {
            let mut living = self.places.iter().map(|place| place.process);
            call.returned.is_none() && living.any(|process| process == call.process)
        });
        calls
    }

    /// What all of them have written.
    pub(crate) fn read_logs(&self, history: &mut History) {
        for process in 0..self.started {
            // One that was killed at once has written nothing.
            let text = std::fs::read_to_string(self.log(process)).unwrap_or_default();
            history.add(process, log::read(&text));
        }
    }
}
