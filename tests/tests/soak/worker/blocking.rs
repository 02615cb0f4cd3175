//! A worker that blocks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::sleep;
use std::time::Duration;

use fastrand::Rng;
use pglock::{Advisory, Database, LockId};
use postgres::{Client, Config, NoTls};

use super::{
    Failure, NO_SERVER, Ran, Worker, expect_as_planned, found_no_server, note, panic_as_planned,
};
use crate::log::Calling;
use crate::schedule::{Call, Door, End, Step, Wait, Way, lock_id};

#[pglock::advisory(lock_id = id, using = here, timeout = wait)]
fn annotated(
    here: &Database,
    id: LockId,
    wait: Option<Duration>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    body()
}

#[pglock::advisory(lock_id = id, using = here, timeout = 0, side_effect = Skip)]
fn skipping(
    here: &Database,
    id: LockId,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<Option<()>, Failure> {
    body().map(Some)
}

pub(super) fn work(worker: &Worker, mut rng: Rng) {
    let mut client = None;
    while !worker.is_done() {
        let step = Step::next(&mut rng, Door::Blocking);
        sleep(step.rest);
        let ran = catch_unwind(AssertUnwindSafe(|| {
            outermost(worker, &mut client, &step.call)
        }));
        match ran {
            Ok(no_server) if no_server => sleep(NO_SERVER),
            Ok(_) => {}
            Err(panic) => expect_as_planned(panic),
        }
    }
}

/// Whether it found no server.
fn outermost(worker: &Worker, client: &mut Option<Client>, call: &Call) -> bool {
    let calling = worker.calling(call, None);
    let ran = match call.way {
        Way::Connection => on_connection(worker, client, call, &calling),
        Way::Transaction => in_transaction(worker, client, call, &calling),
        Way::Run | Way::Attribute | Way::Guard => on_own_session(worker, call, &calling),
    };
    note(calling, &ran);
    found_no_server(&ran)
}

fn inner(worker: &Worker, call: &Call, within: u32) {
    let calling = worker.calling(call, Some(within));
    let ran = on_own_session(worker, call, &calling);
    note(calling, &ran);
}

fn on_own_session(worker: &Worker, call: &Call, calling: &Calling<'_>) -> Ran {
    let body = || body(worker, call, calling);
    let (here, id) = (&worker.here, lock_id(call.key));
    match (call.way, call.wait) {
        (Way::Attribute, Wait::Try) => skipping(here, id, body).map(|ran| ran.is_some()),
        (Way::Attribute, Wait::Forever) => annotated(here, id, None, body).map(|()| true),
        (Way::Attribute, Wait::For(time)) => annotated(here, id, Some(time), body).map(|()| true),
        (Way::Guard, _) if call.xact => guard(&worker.lock(call).xact(), call, body),
        (Way::Guard, _) => guard(&worker.lock(call), call, body),
        _ if call.xact => run(&worker.lock(call).xact(), call, body),
        _ => run(&worker.lock(call), call, body),
    }
}

fn run<S>(lock: &Advisory<S>, call: &Call, body: impl FnOnce() -> Result<(), Failure>) -> Ran
where
    Advisory<S>: Clone,
{
    match call.wait {
        Wait::Try => lock.clone().try_run(body).map(|ran| ran.is_some()),
        Wait::Forever | Wait::For(_) => lock.clone().run(body).map(|()| true),
    }
}

fn guard<S>(lock: &Advisory<S>, call: &Call, body: impl FnOnce() -> Result<(), Failure>) -> Ran
where
    Advisory<S>: Clone,
{
    let guard = match call.wait {
        Wait::Try => lock.clone().try_acquire()?,
        Wait::Forever | Wait::For(_) => Some(lock.clone().acquire()?),
    };
    let Some(guard) = guard else {
        return Ok(false);
    };
    body()?;
    guard.release().map_err(Failure::Release)?;
    Ok(true)
}

fn on_connection(
    worker: &Worker,
    client: &mut Option<Client>,
    call: &Call,
    calling: &Calling<'_>,
) -> Ran {
    let client = connection(worker, client)?;
    let lock = worker.lock(call).on(client);
    let guard = match call.wait {
        Wait::Try => lock.try_acquire()?,
        Wait::Forever | Wait::For(_) => Some(lock.acquire()?),
    };
    let Some(guard) = guard else {
        return Ok(false);
    };
    body(worker, call, calling)?;
    guard.release().map_err(Failure::Release)?;
    Ok(true)
}

fn in_transaction(
    worker: &Worker,
    client: &mut Option<Client>,
    call: &Call,
    calling: &Calling<'_>,
) -> Ran {
    let mut transaction = connection(worker, client)?.transaction()?;
    let lock = worker.lock(call);
    let granted = match call.wait {
        Wait::Try => lock.try_acquire_xact(&mut transaction)?,
        Wait::Forever | Wait::For(_) => lock.acquire_xact(&mut transaction).map(|()| true)?,
    };
    if granted {
        body(worker, call, calling)?;
    }
    // The lock's end is the transaction's, which its commit vouches for.
    transaction.commit()?;
    Ok(granted)
}

fn connection<'c>(
    worker: &Worker,
    client: &'c mut Option<Client>,
) -> Result<&'c mut Client, Failure> {
    if client.as_ref().is_none_or(Client::is_closed) {
        let mut config: Config = worker.url.parse()?;
        config.application_name(&worker.application_name);
        *client = Some(config.connect(NoTls)?);
    }
    client.as_mut().ok_or(Failure::Driver)
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
    }
    Ok(())
}
