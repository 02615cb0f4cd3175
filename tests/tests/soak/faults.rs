//! What is done to the workers, and noted for the checker.

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use pglock_tests::{Server, TestDb};
use tokio_postgres::error::SqlState;

use crate::history::{Fault, ProcessId, What};
use crate::locks::shown_as;
use crate::log::{Mode, Time, now};
use crate::processes::Processes;
use crate::schedule::troubles::{Trouble, Victim};

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
    /// All of its advisory locks: markers too.
    locks: usize,
    /// Its state, for how long, and its statement.
    does: String,
}

impl Session {
    fn is_of_pglock(&self) -> bool {
        self.name.starts_with("pglock: ")
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = if self.waits { ", and waits" } else { "" };
        write!(
            f,
            "{} (pid {}) holds {:?}{waits}; {}",
            self.name, self.pid, self.held, self.does
        )
    }
}

/// All of them with their locks, in one look at `pg_locks`.
const SESSIONS: &str = "
    SELECT a.pid, a.application_name, a.wait_event_type IS NOT DISTINCT FROM 'Lock',
           l.classid, l.objid, l.mode, a.state || ' for ' || clock_timestamp() - a.state_change || ': ' || a.query
    FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.granted
    WHERE a.application_name ~ 'soak [0-9]+$' ORDER BY a.pid";

const CANCEL: &str = "
    SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE application_name ~ 'soak [0-9]+$'";

/// Takes locks until there is no room: other keys than those of the workers. What it got stays.
const FILL: &str = "SELECT pg_advisory_lock(77, n) FROM generate_series(1, 1000000) n";

/// How late a session may hear that it is canceled, which is a signal to its process.
const SIGNAL_BOUND: Duration = Duration::from_secs(1);

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
                self.terminate(number, |session, most_locks| match victim {
                    Victim::Holder => !session.held.is_empty(),
                    Victim::Waiter => session.waits,
                    Victim::Crowded => session.is_of_pglock() && session.locks == most_locks,
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
                let before = self.noted.len();
                if let Some(number) = number {
                    self.terminate(number, |session, _| {
                        session.process == process && !session.held.is_empty()
                    });
                }
                sleep(time);
                processes.thaw(place);
                // Only now it reads what the session was answered before it ended. A lock that was granted to one call may
                // pass to another that is made from now on, and that hears of the loss right after.
                for fault in &mut self.noted[before..] {
                    fault.until = now() + SIGNAL_BOUND;
                }
            }
            Trouble::Stop { time } => self.restart(Server::stop, time),
            Trouble::Crash { time } => self.restart(Server::kill, time),
            Trouble::Cancel { time } => self.cancel(time),
            Trouble::Fill { time } => self.fill(time),
        }
    }

    fn cancel(&mut self, time: Duration) {
        let mut client = self.db.connect_as("faults");
        let from = now();
        loop {
            client.execute(CANCEL, &[]).expect("can't cancel");
            if now() >= from + time {
                break;
            }
        }
        self.note(What::Canceled, from);
        if let Some(fault) = self.noted.last_mut() {
            fault.until += SIGNAL_BOUND;
        }
    }

    fn fill(&mut self, time: Duration) {
        let mut client = self.db.connect_as("faults, which fill");
        let from = now();
        let full = client.batch_execute(FILL);
        let full = full.expect_err("the lock table has no end");
        assert_eq!(full.code(), Some(&SqlState::OUT_OF_MEMORY), "{full}");
        sleep(time);
        // Answered when there is room again.
        let freed = client.batch_execute("SELECT pg_advisory_unlock_all()");
        freed.expect("can't empty the lock table");
        self.note(What::TableFull, from);
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
    fn terminate(&mut self, number: usize, fits: impl Fn(&Session, usize) -> bool) {
        let from = now();
        let mut sessions = self.sessions();
        let of_pglock = sessions.iter().filter(|session| session.is_of_pglock());
        let most_locks = of_pglock.map(|session| session.locks).max();
        sessions.retain(|session| fits(session, most_locks.unwrap_or_default()));
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
                    locks: 0,
                    does: row.get::<_, Option<String>>(6).unwrap_or_default(),
                });
            }
            let shown = row.get::<_, Option<u32>>(3).zip(row.get(4));
            if let (Some(session), true) = (sessions.last_mut(), shown.is_some()) {
                session.locks += 1;
            }
            if let Some(held) = shown.and_then(|shown| shown_as(shown, row.get(5))) {
                let session = sessions.last_mut().expect("there is one now");
                session.held.push(held);
            }
        }
        sessions
    }
}
