//! A worker that is a task, and whose futures are dropped now and then.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use pglock::{Advisory, Database, LockId};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config, NoTls};

use super::{
    Failure, NO_SERVER, Ran, Worker, expect_as_planned, found_no_server, note, panic_as_planned,
};
use crate::log::Calling;
use crate::schedule::{Call, Door, End, Step, Wait, Way, lock_id};

#[pglock::advisory(lock_id = id, using = here, timeout = wait)]
async fn annotated(
    here: &Database,
    id: LockId,
    wait: Option<Duration>,
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<(), Failure> {
    body.await
}

#[pglock::advisory(lock_id = id, using = here, timeout = 0, side_effect = Skip)]
async fn skipping(
    here: &Database,
    id: LockId,
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<Option<()>, Failure> {
    body.await.map(Some)
}

pub(super) async fn work(worker: &'static Worker, mut rng: Rng) {
    let mut client = None;
    while !worker.is_done() {
        let step = Step::next(&mut rng, Door::Async);
        sleep(step.rest).await;
        let ran = or_panic(outermost(worker, &mut client, &step.call)).await;
        match ran {
            Ok(Some(true)) => sleep(NO_SERVER).await,
            Ok(_) => {}
            Err(panic) => expect_as_planned(panic),
        }
    }
}

async fn or_panic<T>(future: impl Future<Output = T>) -> std::thread::Result<T> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        match polled {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

/// The future's value, or nothing where it was dropped before.
async fn unless_dropped<T>(call: &Call, future: impl Future<Output = T>) -> Option<T> {
    match call.dropped_after {
        Some(time) => timeout(time, future).await.ok(),
        None => Some(future.await),
    }
}

/// Whether it found no server.
async fn outermost(worker: &Worker, client: &mut Option<Client>, call: &Call) -> Option<bool> {
    let whole = async {
        let calling = worker.calling(call, None);
        let ran = match call.way {
            Way::Connection => on_connection(worker, client, call, &calling).await,
            Way::Transaction => in_transaction(worker, client, call, &calling).await,
            Way::Run | Way::Attribute | Way::Guard => on_own_session(worker, call, &calling).await,
        };
        note(calling, &ran);
        found_no_server(&ran)
    };
    unless_dropped(call, whole).await
}

/// Boxed, since it is around itself.
fn inner<'a>(
    worker: &'a Worker,
    call: &'a Call,
    within: u32,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    let whole = async move {
        let calling = worker.calling(call, Some(within));
        let ran = on_own_session(worker, call, &calling).await;
        note(calling, &ran);
    };
    Box::pin(async move {
        unless_dropped(call, whole).await;
    })
}

async fn on_own_session(worker: &Worker, call: &Call, calling: &Calling<'_>) -> Ran {
    let body = body(worker, call, calling);
    let (here, id) = (&worker.here, lock_id(call.key));
    match (call.way, call.wait) {
        (Way::Attribute, Wait::Try) => skipping(here, id, body).await.map(|ran| ran.is_some()),
        (Way::Attribute, Wait::Forever) => annotated(here, id, None, body).await.map(|()| true),
        (Way::Attribute, Wait::For(time)) => {
            annotated(here, id, Some(time), body).await.map(|()| true)
        }
        (Way::Guard, _) if call.xact => guard(worker.lock(call).xact(), call, body).await,
        (Way::Guard, _) => guard(worker.lock(call), call, body).await,
        _ if call.xact => run(worker.lock(call).xact(), call, body).await,
        _ => run(worker.lock(call), call, body).await,
    }
}

async fn run<S>(
    lock: Advisory<S>,
    call: &Call,
    body: impl Future<Output = Result<(), Failure>>,
) -> Ran {
    match call.wait {
        Wait::Try => lock.try_run_async(body).await.map(|ran| ran.is_some()),
        Wait::Forever | Wait::For(_) => lock.run_async(body).await.map(|()| true),
    }
}

async fn guard<S>(
    lock: Advisory<S>,
    call: &Call,
    body: impl Future<Output = Result<(), Failure>>,
) -> Ran {
    let guard = match call.wait {
        Wait::Try => lock.try_acquire_async().await?,
        Wait::Forever | Wait::For(_) => Some(lock.acquire_async().await?),
    };
    let Some(guard) = guard else {
        return Ok(false);
    };
    body.await?;
    guard.release_async().await.map_err(Failure::Release)?;
    Ok(true)
}

async fn on_connection(
    worker: &Worker,
    client: &mut Option<Client>,
    call: &Call,
    calling: &Calling<'_>,
) -> Ran {
    let client = connection(worker, client).await?;
    let lock = worker.lock(call).on_async(client);
    let guard = match call.wait {
        Wait::Try => lock.try_acquire().await?,
        Wait::Forever | Wait::For(_) => Some(lock.acquire().await?),
    };
    let Some(guard) = guard else {
        return Ok(false);
    };
    body(worker, call, calling).await?;
    guard.release().await.map_err(Failure::Release)?;
    Ok(true)
}

async fn in_transaction(
    worker: &Worker,
    client: &mut Option<Client>,
    call: &Call,
    calling: &Calling<'_>,
) -> Ran {
    let mut transaction = connection(worker, client).await?.transaction().await?;
    let lock = worker.lock(call);
    let granted = match call.wait {
        Wait::Try => lock.try_acquire_xact_async(&mut transaction).await?,
        Wait::Forever | Wait::For(_) => {
            lock.acquire_xact_async(&mut transaction).await?;
            true
        }
    };
    if granted {
        body(worker, call, calling).await?;
    }
    // The lock's end is the transaction's, which its commit vouches for.
    transaction.commit().await?;
    Ok(granted)
}

async fn connection<'c>(
    worker: &Worker,
    client: &'c mut Option<Client>,
) -> Result<&'c mut Client, Failure> {
    if client.as_ref().is_none_or(Client::is_closed) {
        let mut config: Config = worker.url.parse()?;
        config.application_name(&worker.application_name);
        let (connected, connection) = config.connect(NoTls).await?;
        // Its end shows at the client.
        tokio::spawn(async { drop(connection.await) });
        *client = Some(connected);
    }
    client.as_mut().ok_or(Failure::Driver)
}

async fn body(worker: &Worker, call: &Call, calling: &Calling<'_>) -> Result<(), Failure> {
    let inside = calling.began();
    sleep(call.work).await;
    if let Some(call) = &call.inner {
        inner(worker, call, calling.id()).await;
        sleep(call.work).await;
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
