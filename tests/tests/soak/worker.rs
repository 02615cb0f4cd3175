//! In a child: a process with several workers, blocking and async, that does what the schedule says.

mod blocking;
mod leading;
mod nonblocking;

use std::any::Any;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use pglock::{Advisory, AllScope, Database, Error, OnOwnSession, PermitScope, Shareable};
use pglock_tests::child;
use tokio_postgres::error::SqlState;

use crate::locks::lock_id;
use crate::log::{Called, Calling, Frailty, Log, Mode, Outcome, Time, now};
use crate::schedule::{Call, Door, Order, Wait, Way};

const BLOCKING: usize = 2;
const ASYNC: usize = 3;
const LEADING: usize = 1;

/// How long a worker rests that found no server.
const NO_SERVER: Duration = Duration::from_millis(20);

/// The bound of a silent network is far away: what a slow machine is late with must not be told as a loss, which the
/// checker would find no fault for.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// What the workers of a process share.
struct Worker {
    log: Log,
    here: Database,
    /// Of connections of their own.
    url: String,
    application_name: String,
    order: Order,
    until: Time,
    /// How many have led, or have tried to.
    leaders: AtomicU32,
}

impl Worker {
    fn is_done(&self) -> bool {
        now() >= self.until
    }

    /// The one that is asked for, or the first of them.
    fn lock(&self, call: &Call) -> Advisory {
        let lock = pglock::advisory(lock_id(call.keys[0]));
        self.with_options(in_mode(lock, call), call)
    }

    fn several(&self, call: &Call) -> Advisory<AllScope> {
        let ids = call.keys.iter().map(|key| lock_id(*key));
        self.with_options(in_mode(pglock::advisory_all(ids), call), call)
    }

    fn limit(&self, call: &Call, permits: u32) -> Advisory<PermitScope> {
        self.with_options(pglock::limit(permits, lock_id(call.keys[0])), call)
    }

    fn with_options<S: OnOwnSession>(&self, lock: Advisory<S>, call: &Call) -> Advisory<S> {
        let mut lock = lock.using(&self.here);
        if let Some(least) = call.kept_for {
            lock = lock.hold_at_least(least);
        }
        if call.dedicated {
            lock = lock.dedicated();
        }
        match call.wait {
            Wait::For(time) => lock.timeout(time),
            // Each verb's own.
            Wait::Forever | Wait::Try => lock,
        }
    }

    /// `driver` is that of the worker's own connection, which some ways use.
    fn calling(&self, call: &Call, within: Option<u32>, driver: &str) -> Calling<'_> {
        self.log.called(Self::called(call, within, driver))
    }

    fn called(call: &Call, within: Option<u32>, driver: &str) -> Called {
        let Call {
            lead,
            way,
            wait,
            xact,
            dedicated,
            end,
            dropped_after,
            ..
        } = call;
        let how = match way {
            Way::Connection | Way::Transaction => format!("{way:?} of {driver}"),
            Way::Guard | Way::Run if *xact => format!("{way:?} xact"),
            Way::Guard | Way::Run if *dedicated => format!("{way:?} dedicated"),
            Way::Guard | Way::Run | Way::Attribute => format!("{way:?}"),
        };
        let lead = lead.map_or_else(String::new, |lead| format!(", {lead:?}"));
        let how =
            format!("{how}{lead}, wait {wait:?}, end {end:?}, dropped after {dropped_after:?}");
        Called {
            within,
            leader: None,
            keys: call.keys.clone(),
            mode: call.mode,
            frailty: call.frailty(),
            alone: call.dedicated || call.frailty() == Frailty::EndsByCancel,
            kept_for: call.kept_for.unwrap_or_default(),
            how,
        }
    }
}

fn in_mode<S: Shareable>(lock: Advisory<S>, call: &Call) -> Advisory<S> {
    match call.mode {
        Mode::Exclusive | Mode::Permit(_) => lock,
        Mode::Shared => lock.shared(),
    }
}

/// Why a call did not go well.
#[derive(Debug)]
enum Failure {
    Pglock(Error),
    /// The release of a guard, after the body.
    Release(Error),
    /// A connection of the worker's own, which pglock has no part in.
    Driver,
    AsPlanned,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Pglock(error)
    }
}

macro_rules! from_errors_of_drivers {
    ($($error:ty),+) => {$(
        impl From<$error> for Failure {
            fn from(_: $error) -> Self {
                Self::Driver
            }
        }
    )+};
}

from_errors_of_drivers!(
    tokio_postgres::Error,
    sqlx::Error,
    diesel::ConnectionError,
    diesel::result::Error
);

/// Whether a call ran; `false` when the lock was busy.
type Ran = Result<bool, Failure>;

fn note(calling: Calling<'_>, ran: &Ran) {
    let (outcome, why) = match ran {
        Ok(true) => (Outcome::Kept, String::new()),
        Ok(false) => (Outcome::Busy, String::new()),
        Err(Failure::Pglock(error)) => (outcome_of(error), format!("{error:?}")),
        Err(Failure::Release(error)) => {
            let outcome = match outcome_of(error) {
                Outcome::Lost { .. } => Outcome::Lost {
                    body_finished: true,
                },
                outcome => outcome,
            };
            (outcome, format!("{error:?}"))
        }
        Err(Failure::Driver | Failure::AsPlanned) => (Outcome::Unsaid, String::new()),
    };
    calling.returned(outcome, why);
}

fn outcome_of(error: &Error) -> Outcome {
    match error {
        error if error.is_busy() => Outcome::Busy,
        error if error.is_deadlock() => Outcome::Deadlock,
        error if error.is_connect() => Outcome::Connect,
        error if error.is_lost() => Outcome::Lost {
            body_finished: error.body_finished(),
        },
        error if says(error, &SqlState::QUERY_CANCELED, CANCELED) => Outcome::Canceled,
        error if says(error, &SqlState::OUT_OF_MEMORY, TABLE_FULL) => Outcome::TableFull,
        // A cancel has hit the `ROLLBACK` that was sent when a transaction of this connection was dropped.
        error if error.to_string().contains(IN_TRANSACTION) => Outcome::Canceled,
        _ => Outcome::Unexpected,
    }
}

const CANCELED: &str = "canceling statement due to user request";
const IN_TRANSACTION: &str = "was requested inside a transaction";
const TABLE_FULL: &str = "out of shared memory";

/// Of diesel, which tells few codes, the server's words have to do.
fn says(error: &Error, state: &SqlState, words: &str) -> bool {
    let said = || format!("{error:?}").contains(words);
    error.is_database() && error.sql_state().map_or_else(said, |code| code == state)
}

/// Whether the server, or a session at least, is gone.
fn found_no_server(ran: &Ran) -> bool {
    match ran {
        Err(Failure::Pglock(error)) => error.is_connect(),
        Err(Failure::Release(_) | Failure::Driver) => true,
        Ok(_) | Err(Failure::AsPlanned) => false,
    }
}

/// What a body panics with, without a word on the terminal.
struct AsPlanned;

fn panic_as_planned() -> ! {
    std::panic::resume_unwind(Box::new(AsPlanned))
}

/// Goes on with a panic that was not planned.
fn expect_as_planned(panic: Box<dyn Any + Send>) {
    if !panic.is::<AsPlanned>() {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn run() {
    let application_name = format!("soak {}", child::argument("NUMBER"));
    let url = child::argument("URL");
    let here = Database::builder(&url)
        .application_name(&application_name)
        .heartbeat(HEARTBEAT);
    let worker = Worker {
        log: Log::create(Path::new(&child::argument("LOG"))),
        here: here.build().unwrap(),
        url,
        application_name,
        order: Order::of_round(child::argument("ROUND").parse().unwrap()),
        until: Duration::from_nanos(child::argument("UNTIL").parse().unwrap()),
        leaders: AtomicU32::new(0),
    };
    let worker: &'static Worker = Box::leak(Box::new(worker));
    let mut rng = Rng::with_seed(child::argument("SEED").parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let doors = [Door::Async; ASYNC].into_iter();
    let doors = doors.chain([Door::Leading; LEADING]).enumerate();
    let tasks: Vec<_> = doors
        .map(|(number, door)| runtime.spawn(nonblocking::work(worker, number, door, rng.fork())))
        .collect();
    let threads: Vec<_> = (0..BLOCKING)
        .map(|number| {
            let rng = rng.fork();
            thread::spawn(move || blocking::work(worker, number, rng))
        })
        .collect();
    // Kept to the end: a connection that closed would have released what was left on it.
    let _blocking: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let _async: Vec<_> = tasks
        .into_iter()
        .map(|task| runtime.block_on(task).unwrap())
        .collect();
    pglock::drain();
    child::say("idle");
    child::wait_for_end();
}
