//! What is done to the workers, and noted for the checker.

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use pglock::advisory_id;
use pglock_tests::{Server, TestDb};

use crate::history::{Fault, ProcessId, What};
use crate::log::{Mode, Time, now};
use crate::processes::Processes;
use crate::schedule::{KEYS, Trouble, Victim, lock_id};

pub(crate) struct Faults<'s> {
    server: &'s Server,
    db: &'s TestDb,
    pub(crate) noted: Vec<Fault>,
}

/// A session of the workers'.
pub(crate) struct Session {
    pid: i32,
    /// One of pglock's is `pglock: soak 1`, one of a worker's own `soak 1`.
    name: String,
    process: ProcessId,
    waits: bool,
    held: Vec<(usize, Mode)>,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = if self.waits { ", and waits" } else { "" };
        write!(
            f,
            "{} (pid {}) holds {:?}{waits}",
            self.name, self.pid, self.held
        )
    }
}

/// All of them with their locks, in one look at `pg_locks`.
const SESSIONS: &str = "
    SELECT a.pid, a.application_name, a.wait_event_type IS NOT DISTINCT FROM 'Lock',
           l.classid, l.objid, l.mode
    FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.granted
    WHERE a.application_name ~ 'soak [0-9]+$' ORDER BY a.pid";

impl<'s> Faults<'s> {
    pub(crate) fn new(server: &'s Server, db: &'s TestDb) -> Self {
        Self {
            server,
            db,
            noted: Vec::new(),
        }
    }

    pub(crate) fn make(&mut self, trouble: Trouble, processes: &mut Processes<'_>) {
        match trouble {
            Trouble::Terminate { victim, number } => {
                self.terminate(number, |session| match victim {
                    Victim::Holder => !session.held.is_empty(),
                    Victim::Waiter => session.waits,
                    Victim::Anyone => true,
                });
            }
            Trouble::Kill { place } => {
                let from = now();
                let process = processes.kill(place);
                self.note(What::Killed(process), from);
            }
            Trouble::Freeze {
                place,
                number,
                time,
            } => {
                let process = processes.freeze(place);
                if let Some(number) = number {
                    self.terminate(number, |session| {
                        session.process == process && !session.held.is_empty()
                    });
                }
                sleep(time);
                processes.thaw(place);
            }
            Trouble::Stop { time } => self.restart(Server::stop, time),
            Trouble::Crash { time } => self.restart(Server::kill, time),
        }
    }

    fn note(&mut self, what: What, from: Time) {
        let gone = now();
        self.noted.push(Fault {
            what,
            from,
            gone,
            until: gone,
        });
    }

    fn restart(&mut self, end: impl FnOnce(&Server), time: Duration) {
        let from = now();
        end(self.server);
        let gone = now();
        sleep(time);
        self.server.start_again();
        self.noted.push(Fault {
            what: What::Restarted,
            from,
            gone,
            // A session that began as the server ended may have been missed: it is gone before another server runs.
            until: now(),
        });
    }

    /// Terminates the session of that number among those that fit, if there is one.
    fn terminate(&mut self, number: usize, fits: impl Fn(&Session) -> bool) {
        let from = now();
        let mut sessions = self.sessions();
        sessions.retain(fits);
        if sessions.is_empty() {
            return;
        }
        let Session {
            pid, process, held, ..
        } = sessions.swap_remove(number % sessions.len());
        // Until it has left `pg_stat_activity`, which a session does after it has released its locks.
        self.db.terminate(pid);
        self.note(What::Terminated { process, held }, from);
    }

    pub(crate) fn sessions(&self) -> Vec<Session> {
        // A new connection each time: the one before may have ended with its server.
        let rows = self.db.connect_as("faults").query(SESSIONS, &[]);
        let rows = rows.expect("can't look at the sessions");
        let mut sessions: Vec<Session> = Vec::new();
        for row in rows {
            let pid = row.get(0);
            if sessions.last().is_none_or(|session| session.pid != pid) {
                let name: String = row.get(1);
                let number = name
                    .rsplit(' ')
                    .next()
                    .and_then(|number| number.parse().ok());
                sessions.push(Session {
                    pid,
                    process: number.expect("it ends with a number"),
                    name,
                    waits: row.get(2),
                    held: Vec::new(),
                });
            }
            let shown = row.get::<_, Option<u32>>(3).zip(row.get(4));
            if let Some(key) = shown.and_then(key_of) {
                let mode = match row.get(5) {
                    "ShareLock" => Mode::Shared,
                    _ => Mode::Exclusive,
                };
                let session = sessions.last_mut().expect("there is one now");
                session.held.push((key, mode));
            }
        }
        sessions
    }
}

/// Nothing for what a new session locks as it looks at its server.
fn key_of(shown: (u32, u32)) -> Option<usize> {
    (0..KEYS).find(|key| advisory_id(lock_id(*key)) == shown)
}
