//! What the workers write down, a line per event, and how it is read back.
//!
//! Each process has a file of its own, and writes a line by one call, before it goes on. So a SIGKILL can cut off the
//! last line only, and what that would have told had no effect yet on anybody: a body does nothing before `began` is
//! written, and what comes after `ended` or `returned` doesn't depend on the lock.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A point in time, on the clock that all processes of a host share: an `Instant` can't be told to another one.
pub(crate) type Time = Duration;

pub(crate) fn now() -> Time {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |number: i64| u64::try_from(number).expect("the clock is past its start");
    Duration::from_secs(part(now.tv_sec)) + Duration::from_nanos(part(now.tv_nsec))
}

pub(crate) fn nanos(time: Time) -> u64 {
    u64::try_from(time.as_nanos()).expect("five hundred years fit")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
    /// One of so many permits.
    Permit(u32),
}

/// Whose statements may end a lock: one that is canceled ends the transaction around it, and a release on a connection of
/// the worker's own that is canceled is reported as a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frailty {
    /// A session lock on a session of pglock's own, shared or dedicated: no statement that fails ends it.
    OutlastsCancels,
    /// A transaction's lock, or one on a connection of the worker's own.
    EndsByCancel,
}

/// A call for a lock, as it is made. That of a term begins when the leader's last one has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    /// The call that encloses it.
    pub(crate) within: Option<u32>,
    /// The leader whose term it is, by its number in the process.
    pub(crate) leader: Option<u32>,
    /// All of which it has while its body runs.
    pub(crate) keys: Vec<usize>,
    pub(crate) mode: Mode,
    pub(crate) frailty: Frailty,
    /// Whether it waits on a session that nobody else waits on, so that it is told of what Postgres finds there.
    pub(crate) alone: bool,
    /// Its `hold_at_least`, or zero.
    pub(crate) kept_for: Duration,
    /// In which way, for who reads a report.
    pub(crate) how: String,
}

/// What a call was told in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its body ran, and the lock was held all the while.
    Kept,
    Lost {
        body_finished: bool,
    },
    /// Nobody was told: the future or the guard was dropped, or the body failed or panicked itself.
    Unsaid,
    Busy,
    Deadlock,
    Connect,
    /// Its wait was canceled in the server.
    Canceled,
    /// The server's lock table had no room for it.
    TableFull,
    /// An error that nothing here is a reason for.
    Unexpected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Called(Called),
    /// The first thing that its body does.
    Began,
    /// The last thing, or, where it did not come to its end, that it is dropped.
    Ended {
        finished: bool,
    },
    Returned {
        outcome: Outcome,
        /// The error's text.
        why: String,
    },
}

/// What happened to one of the calls of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Time,
    pub(crate) call: u32,
    pub(crate) event: Event,
}

const OUTCOMES: [(Outcome, &str); 10] = [
    (Outcome::Kept, "kept"),
    (
        Outcome::Lost {
            body_finished: true,
        },
        "lost-after",
    ),
    (
        Outcome::Lost {
            body_finished: false,
        },
        "lost-within",
    ),
    (Outcome::Unsaid, "unsaid"),
    (Outcome::Busy, "busy"),
    (Outcome::Deadlock, "deadlock"),
    (Outcome::Connect, "connect"),
    (Outcome::Canceled, "canceled"),
    (Outcome::TableFull, "table-full"),
    (Outcome::Unexpected, "unexpected"),
];

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", nanos(self.at), self.call)?;
        match &self.event {
            Event::Called(called) => {
                let keys: Vec<_> = called.keys.iter().map(ToString::to_string).collect();
                write!(f, "called {} ", keys.join("+"))?;
                match called.mode {
                    Mode::Shared => f.write_str("shared")?,
                    Mode::Exclusive => f.write_str("exclusive")?,
                    Mode::Permit(permits) => write!(f, "one-of-{permits}")?,
                }
                if called.frailty == Frailty::EndsByCancel {
                    f.write_str(" frail yes")?;
                }
                if called.alone {
                    f.write_str(" alone yes")?;
                }
                if !called.kept_for.is_zero() {
                    write!(f, " kept-for {}", nanos(called.kept_for))?;
                }
                if let Some(within) = called.within {
                    write!(f, " within {within}")?;
                }
                if let Some(leader) = called.leader {
                    write!(f, " leader {leader}")?;
                }
                match called.how.as_str() {
                    "" => Ok(()),
                    how => write!(f, " by {how}"),
                }
            }
            Event::Began => f.write_str("began"),
            Event::Ended { finished: true } => f.write_str("ended"),
            Event::Ended { finished: false } => f.write_str("dropped"),
            Event::Returned { outcome, why } => {
                let known = OUTCOMES.iter().find(|(known, _)| known == outcome);
                let (_, word) = known.expect("all outcomes are listed");
                // One line, whatever the error says.
                let why = why.replace('\n', " ");
                write!(f, "returned {word} {why}")
            }
        }
    }
}

impl Line {
    /// Reads a line back; nothing where it is none.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let (at, rest) = line.split_once(' ')?;
        let (call, rest) = rest.split_once(' ')?;
        let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let event = match word {
            "called" => Event::Called(read_called(rest)?),
            "began" => Event::Began,
            "ended" => Event::Ended { finished: true },
            "dropped" => Event::Ended { finished: false },
            "returned" => {
                let (word, why) = rest.split_once(' ').unwrap_or((rest, ""));
                let (outcome, _) = OUTCOMES.into_iter().find(|(_, known)| *known == word)?;
                Event::Returned {
                    outcome,
                    why: why.to_owned(),
                }
            }
            _ => return None,
        };
        Some(Self {
            at: Duration::from_nanos(at.parse().ok()?),
            call: call.parse().ok()?,
            event,
        })
    }
}

fn read_called(text: &str) -> Option<Called> {
    let (text, how) = text.split_once(" by ").unwrap_or((text, ""));
    let mut words = text.split(' ');
    let mut called = Called {
        keys: words
            .next()?
            .split('+')
            .map(|key| key.parse().ok())
            .collect::<Option<_>>()?,
        mode: match words.next()? {
            "shared" => Mode::Shared,
            "exclusive" => Mode::Exclusive,
            word => Mode::Permit(word.strip_prefix("one-of-")?.parse().ok()?),
        },
        frailty: Frailty::OutlastsCancels,
        alone: false,
        within: None,
        leader: None,
        kept_for: Duration::ZERO,
        how: how.to_owned(),
    };
    while let Some(word) = words.next() {
        let value = words.next()?;
        match word {
            "alone" => called.alone = true,
            "frail" => called.frailty = Frailty::EndsByCancel,
            "kept-for" => called.kept_for = Duration::from_nanos(value.parse().ok()?),
            "within" => called.within = Some(value.parse().ok()?),
            "leader" => called.leader = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(called)
}

/// Reads what a process has written. A last line without its end was cut off by a SIGKILL, and has not happened.
///
/// # Panics
///
/// When a line is none: a check of half a log would be worthless.
pub(crate) fn read(text: &str) -> Vec<Line> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| Line::read(line).unwrap_or_else(|| panic!("what is this? {line:?}")))
        .collect()
}

/// The log of this process.
pub(crate) struct Log {
    file: Mutex<File>,
    calls: AtomicU32,
}

impl Log {
    pub(crate) fn create(path: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Self {
            file: Mutex::new(file.expect("can't write a log")),
            calls: AtomicU32::new(0),
        }
    }

    fn write(&self, call: u32, event: Event) {
        self.write_at(now(), call, event);
    }

    fn write_at(&self, at: Time, call: u32, event: Event) {
        let line = Line { at, call, event };
        let line = format!("{line}\n");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).expect("can't write a log");
    }

    /// Notes a call that is about to be made.
    pub(crate) fn called(&self, called: Called) -> Calling<'_> {
        self.called_at(now(), called)
    }

    /// Notes a call that was made before.
    pub(crate) fn called_at(&self, at: Time, called: Called) -> Calling<'_> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.write_at(at, call, Event::Called(called));
        Calling {
            log: self,
            call,
            returned: false,
        }
    }
}

/// A call that is under way. Dropped, nobody was told anything.
pub(crate) struct Calling<'l> {
    log: &'l Log,
    call: u32,
    returned: bool,
}

impl<'l> Calling<'l> {
    pub(crate) fn id(&self) -> u32 {
        self.call
    }

    pub(crate) fn returned(mut self, outcome: Outcome, why: String) {
        self.returned = true;
        self.log.write(self.call, Event::Returned { outcome, why });
    }

    /// Notes that its body begins.
    pub(crate) fn began(&self) -> Inside<'l> {
        self.log.write(self.call, Event::Began);
        Inside {
            log: self.log,
            call: self.call,
            finished: false,
        }
    }
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        if !self.returned {
            let unsaid = Event::Returned {
                outcome: Outcome::Unsaid,
                why: String::new(),
            };
            self.log.write(self.call, unsaid);
        }
    }
}

/// A body that runs. Dropped, as with its future or by a panic, it has ended before its end.
pub(crate) struct Inside<'l> {
    log: &'l Log,
    call: u32,
    finished: bool,
}

impl Inside<'_> {
    pub(crate) fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let finished = self.finished;
        self.log.write(self.call, Event::Ended { finished });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let called = Called {
            within: Some(3),
            leader: Some(4),
            keys: vec![2, 10],
            mode: Mode::Shared,
            frailty: Frailty::EndsByCancel,
            alone: true,
            kept_for: Duration::from_millis(5),
            how: "any means".to_owned(),
        };
        let outcomes = OUTCOMES.map(|(outcome, _)| Event::Returned {
            outcome,
            why: "for a reason".to_owned(),
        });
        let events = [
            Event::Called(called.clone()),
            Event::Called(Called {
                within: None,
                leader: None,
                keys: vec![5],
                mode: Mode::Permit(3),
                how: String::new(),
                ..called.clone()
            }),
            Event::Called(Called {
                within: None,
                leader: None,
                mode: Mode::Exclusive,
                frailty: Frailty::OutlastsCancels,
                alone: false,
                kept_for: Duration::ZERO,
                how: String::new(),
                ..called
            }),
            Event::Began,
            Event::Ended { finished: true },
            Event::Ended { finished: false },
        ];
        for event in events.into_iter().chain(outcomes) {
            let line = Line {
                at: Duration::new(1, 2),
                call: 7,
                event,
            };
            assert_eq!(read(&format!("{line}\n")), [line]);
        }
    }

    #[test]
    fn a_line_that_was_cut_off_has_not_happened() {
        assert_eq!(read("5 1 began\n6 1 en").len(), 1);
        assert_eq!(read("5 1 beg"), []);
        assert_eq!(read(""), []);
    }
}
