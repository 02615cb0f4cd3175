//! A worker that blocks.

mod annotated;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;

use diesel::connection::SimpleConnection;
use diesel::{Connection as _, PgConnection};
use fastrand::Rng;
use pglock::{Advisory, AdvisoryOn, InTransaction};
use postgres::{Client, Config, NoTls};

use self::annotated::{annotated, limited, several, skipping, skipping_limited, skipping_several};
use super::{
    Failure, NO_SERVER, Ran, Worker, expect_as_planned, found_no_server, note, panic_as_planned,
};
use crate::locks::lock_id;
use crate::log::Calling;
use crate::schedule::{Call, Door, End, Step, Wait, Way};

/// A connection of the worker's own, if it has one now.
pub(super) enum Own {
    Postgres(Option<Client>),
    Diesel(Option<PgConnection>),
}

impl Own {
    /// Of different drivers, one after the other.
    fn of_worker(number: usize) -> Self {
        match number % 2 {
            0 => Self::Postgres(None),
            _ => Self::Diesel(None),
        }
    }

    fn driver(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Diesel(_) => "diesel",
        }
    }

    fn close(&mut self) {
        match self {
            Self::Postgres(client) => *client = None,
            Self::Diesel(connection) => *connection = None,
        }
    }
}

/// Works until it is time, and returns its connection.
pub(super) fn work(worker: &Worker, number: usize, mut rng: Rng) -> Own {
    let mut own = Own::of_worker(number);
    while !worker.is_done() {
        let step = Step::next(&mut rng, Door::Blocking, worker.order);
        sleep(step.rest);
        let ran = catch_unwind(AssertUnwindSafe(|| outermost(worker, &mut own, &step.call)));
        match ran {
            Ok(ran) if found_no_server(&ran) => {
                own.close();
                sleep(NO_SERVER);
            }
            Ok(_) => {}
            Err(panic) => {
                expect_as_planned(panic);
                // Diesel leaves a transaction open that a panic goes through.
                if let Own::Diesel(_) = own {
                    own.close();
                }
            }
        }
    }
    own
}

fn outermost(worker: &Worker, own: &mut Own, call: &Call) -> Ran {
    let calling = worker.calling(call, None, own.driver());
    let ran = match call.way {
        Way::Connection => on_connection(worker, own, call, &calling),
        Way::Transaction => in_transaction(worker, own, call, &calling),
        Way::Run | Way::Attribute | Way::Guard => on_own_session(worker, call, &calling),
    };
    note(calling, &ran);
    ran
}

fn inner(worker: &Worker, call: &Call, within: u32) {
    let calling = worker.calling(call, Some(within), "");
    let ran = on_own_session(worker, call, &calling);
    note(calling, &ran);
}

fn on_own_session(worker: &Worker, call: &Call, calling: &Calling<'_>) -> Ran {
    let body = || body(worker, call, calling);
    match (call.permits(), &call.keys[..]) {
        (_, _) if call.way == Way::Attribute => by_attribute(worker, call, body),
        (Some(permits), _) => by_hand(worker.limit(call, permits), call, body),
        (None, [_]) if call.xact => by_hand(worker.lock(call).xact(), call, body),
        (None, [_]) => by_hand(worker.lock(call), call, body),
        (None, _) => by_hand(worker.several(call), call, body),
    }
}

fn by_attribute(worker: &Worker, call: &Call, body: impl FnOnce() -> Result<(), Failure>) -> Ran {
    let here = &worker.here;
    let id = lock_id(call.keys[0]);
    let wait = match call.wait {
        Wait::For(time) => Some(time),
        Wait::Forever | Wait::Try => None,
    };
    let skipped = match (call.permits(), &call.keys[..], call.wait) {
        (Some(permits), _, Wait::Try) => skipping_limited(here, (permits, id), body)?,
        (Some(permits), _, _) => limited(here, (permits, id), wait, body).map(Some)?,
        (None, [_, other], Wait::Try) => skipping_several(here, &[id, lock_id(*other)], body)?,
        (None, [_, other], _) => several(here, &[id, lock_id(*other)], wait, body).map(Some)?,
        (None, _, Wait::Try) => skipping(here, id, body)?,
        (None, _, _) => annotated(here, id, wait, body).map(Some)?,
    };
    Ok(skipped.is_some())
}

fn by_hand<S>(lock: Advisory<S>, call: &Call, body: impl FnOnce() -> Result<(), Failure>) -> Ran {
    match call.way {
        Way::Guard => guard(lock, call, body),
        _ => run(lock, call, body),
    }
}

fn run<S>(lock: Advisory<S>, call: &Call, body: impl FnOnce() -> Result<(), Failure>) -> Ran {
    match call.wait {
        Wait::Try => lock.try_run(body).map(|ran| ran.is_some()),
        Wait::Forever | Wait::For(_) => lock.run(body).map(|()| true),
    }
}

fn guard<S>(lock: Advisory<S>, call: &Call, body: impl FnOnce() -> Result<(), Failure>) -> Ran {
    let guard = match call.wait {
        Wait::Try => lock.try_acquire()?,
        Wait::Forever | Wait::For(_) => Some(lock.acquire()?),
    };
    let Some(guard) = guard else {
        return Ok(false);
    };
    body()?;
    guard.release().map_err(Failure::Release)?;
    Ok(true)
}

fn on_connection(worker: &Worker, own: &mut Own, call: &Call, calling: &Calling<'_>) -> Ran {
    let lock = worker.lock(call);
    let body = || body(worker, call, calling);
    match own {
        Own::Postgres(client) => guard_on(lock.on(postgres(worker, client)?), call, body),
        Own::Diesel(connection) => guard_on(lock.on(diesel(worker, connection)?), call, body),
    }
}

fn guard_on<C: pglock::Connection>(
    lock: AdvisoryOn<'_, C>,
    call: &Call,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Ran {
    let guard = match call.wait {
        Wait::Try => lock.try_acquire()?,
        Wait::Forever | Wait::For(_) => Some(lock.acquire()?),
    };
    let Some(guard) = guard else {
        return Ok(false);
    };
    body()?;
    guard.release().map_err(Failure::Release)?;
    Ok(true)
}

/// The lock's end is the transaction's, which its commit vouches for.
fn in_transaction(worker: &Worker, own: &mut Own, call: &Call, calling: &Calling<'_>) -> Ran {
    let lock = worker.lock(call);
    let body = || body(worker, call, calling);
    match own {
        Own::Postgres(client) => {
            let mut transaction = postgres(worker, client)?.transaction()?;
            let granted = run_in(lock, &mut transaction, call, body)?;
            transaction.commit()?;
            Ok(granted)
        }
        Own::Diesel(connection) => {
            diesel(worker, connection)?.transaction(|open| run_in(lock, open, call, body))
        }
    }
}

fn run_in(
    lock: Advisory,
    transaction: &mut impl InTransaction,
    call: &Call,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Ran {
    let granted = match call.wait {
        Wait::Try => lock.try_acquire_xact(transaction)?,
        Wait::Forever | Wait::For(_) => lock.acquire_xact(transaction).map(|()| true)?,
    };
    if granted {
        body()?;
    }
    Ok(granted)
}

fn postgres<'c>(
    worker: &Worker,
    client: &'c mut Option<Client>,
) -> Result<&'c mut Client, Failure> {
    if client.is_none() {
        let mut config: Config = worker.url.parse()?;
        config.application_name(&worker.application_name);
        *client = Some(config.connect(NoTls)?);
    }
    client.as_mut().ok_or(Failure::Driver)
}

fn diesel<'c>(
    worker: &Worker,
    connection: &'c mut Option<PgConnection>,
) -> Result<&'c mut PgConnection, Failure> {
    if connection.is_none() {
        let mut connected = PgConnection::establish(&worker.url)?;
        connected.batch_execute(&format!(
            "SET application_name = '{}'",
            worker.application_name
        ))?;
        *connection = Some(connected);
    }
    connection.as_mut().ok_or(Failure::Driver)
}

fn body(worker: &Worker, call: &Call, calling: &Calling<'_>) -> Result<(), Failure> {
    let inside = calling.began();
    sleep(call.work);
    if let Some(call) = &call.inner {
        inner(worker, call, calling.id());
        sleep(call.work);
    }
    match call.end {
        End::Return => inside.finish(),
        End::Fail => {
            inside.finish();
            return Err(Failure::AsPlanned);
        }
        End::Panic => panic_as_planned(),
        End::Never => unreachable!("only leaders have no end"),
    }
    Ok(())
}
