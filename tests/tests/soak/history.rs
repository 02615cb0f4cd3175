//! What happened in a round: the calls, put together from their lines, and what was done to them. Pure.

use std::collections::HashMap;

use crate::log::{Called, Event, Line, Mode, Outcome, Time};

/// Names a process of a round; one that takes the place of a killed one is another.
pub(crate) type ProcessId = u32;

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) process: ProcessId,
    pub(crate) id: u32,
    pub(crate) at: Time,
    pub(crate) called: Called,
    pub(crate) began: Vec<Time>,
    pub(crate) ended: Option<Ended>,
    pub(crate) returned: Option<Returned>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) at: Time,
    /// By itself, and not by being dropped.
    pub(crate) finished: bool,
}

#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) at: Time,
    pub(crate) outcome: Outcome,
    pub(crate) why: String,
}

impl Call {
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.returned.as_ref().map(|returned| returned.outcome)
    }
}

/// What was done to sessions or processes.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) what: What,
    /// Before it was done.
    pub(crate) from: Time,
    /// When all that it hit was seen to be gone.
    pub(crate) gone: Time,
    /// When no more could be hit by it.
    pub(crate) until: Time,
}

#[derive(Debug)]
pub(crate) enum What {
    /// The process was killed.
    Killed(ProcessId),
    /// One session of that process was terminated, with what `pg_locks` showed that it held, between `from` and `gone`.
    Terminated {
        process: ProcessId,
        held: Vec<(usize, Mode)>,
    },
    /// The server was stopped, or crashed, and was started again.
    Restarted,
    /// The statements of all sessions were canceled, over and over.
    Canceled,
    /// The server's lock table was full.
    TableFull,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    /// Whether all took their locks in one order, so that no deadlock was possible.
    pub(crate) in_order: bool,
    pub(crate) calls: Vec<Call>,
    pub(crate) faults: Vec<Fault>,
    index: HashMap<(ProcessId, u32), usize>,
}

impl History {
    pub(crate) fn of(faults: Vec<Fault>) -> Self {
        Self {
            faults,
            ..Self::default()
        }
    }

    /// Adds what a process has written.
    ///
    /// # Panics
    ///
    /// When a line is about a call that was not made.
    pub(crate) fn add(&mut self, process: ProcessId, lines: Vec<Line>) {
        for Line {
            at,
            call: id,
            event,
        } in lines
        {
            if let Event::Called(called) = event {
                let call = Call {
                    process,
                    id,
                    at,
                    called,
                    began: Vec::new(),
                    ended: None,
                    returned: None,
                };
                let before = self.index.insert((process, id), self.calls.len());
                assert!(before.is_none(), "{process}/{id} is two calls");
                self.calls.push(call);
                continue;
            }
            let index = self.index.get(&(process, id));
            let call = &mut self.calls[*index.expect("an event of an unknown call")];
            match event {
                Event::Called(_) => {}
                Event::Began => call.began.push(at),
                Event::Ended { finished } => call.ended = Some(Ended { at, finished }),
                Event::Returned { outcome, why } => {
                    call.returned = Some(Returned { at, outcome, why });
                }
            }
        }
    }

    /// # Panics
    ///
    /// When it was not made.
    pub(crate) fn call(&self, process: ProcessId, id: u32) -> &Call {
        let index = self.index.get(&(process, id));
        &self.calls[*index.expect("an unknown call")]
    }

    /// When that process was killed, if it was: by then it ran no more.
    pub(crate) fn killed(&self, process: ProcessId) -> Option<&Fault> {
        let is_its =
            |fault: &&Fault| matches!(fault.what, What::Killed(killed) if killed == process);
        self.faults.iter().find(is_its)
    }
}
