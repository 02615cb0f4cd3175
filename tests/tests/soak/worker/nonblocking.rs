//! A worker that is a task, and whose futures are dropped now and then.

mod annotated;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;

use diesel_async::pooled_connection::PoolableConnection as _;
use diesel_async::{
    AnsiTransactionManager, AsyncConnection as _, AsyncPgConnection, SimpleAsyncConnection as _,
    TransactionManager,
};
use fastrand::Rng;
use pglock::{Advisory, AdvisoryOnAsync, AsyncConnection, AsyncInTransaction};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, Config, NoTls};

use self::annotated::{annotated, limited, several, skipping, skipping_limited, skipping_several};
use super::{
    Failure, NO_SERVER, Ran, Worker, expect_as_planned, found_no_server, leading, note,
    panic_as_planned,
};
use crate::locks::lock_id;
use crate::log::{Calling, Inside};
use crate::schedule::{Call, Door, End, Step, Wait, Way};

/// A connection of the worker's own, if it has one now.
pub(super) enum Own {
    TokioPostgres(Option<Client>),
    Sqlx {
        connection: Option<PgConnection>,
        /// A transaction is about to begin. Dropped then, or failed for what a statement before it did, sqlx has begun one
        /// and doesn't know: so the connection is not used again.
        begins: bool,
    },
    /// A transaction has no type of its own here, and one that is dropped stays open: the connection is closed then.
    DieselAsync(Option<Box<AsyncPgConnection>>),
}

impl Own {
    /// Of different drivers, one after the other.
    fn of_worker(number: usize) -> Self {
        match number % 3 {
            0 => Self::TokioPostgres(None),
            1 => Self::Sqlx {
                connection: None,
                begins: false,
            },
            _ => Self::DieselAsync(None),
        }
    }

    fn driver(&self) -> &'static str {
        match self {
            Self::TokioPostgres(_) => "tokio-postgres",
            Self::Sqlx { .. } => "sqlx",
            Self::DieselAsync(_) => "diesel-async",
        }
    }

    fn close(&mut self) {
        match self {
            Self::TokioPostgres(client) => *client = None,
            Self::Sqlx { connection, .. } => *connection = None,
            Self::DieselAsync(connection) => *connection = None,
        }
    }

    /// Ends a transaction that was dropped: sqlx sends its `ROLLBACK` with the next use of the connection only, and the
    /// lock stays until then. diesel-async never sends one.
    async fn end_dropped_transaction(&mut self) {
        match self {
            // An error is that of a statement before, or it is seen when the connection is used.
            Self::Sqlx {
                connection: Some(connection),
                ..
            } => drop(connection.ping().await),
            Self::DieselAsync(Some(connection)) => {
                if connection.is_broken() {
                    self.close();
                }
            }
            Self::TokioPostgres(_) | Self::Sqlx { .. } | Self::DieselAsync(None) => {}
        }
    }
}

/// Works until it is time, and returns its connection.
pub(super) async fn work(worker: &'static Worker, number: usize, door: Door, mut rng: Rng) -> Own {
    let mut own = Own::of_worker(number);
    while !worker.is_done() {
        let step = Step::next(&mut rng, door, worker.order);
        sleep(step.rest).await;
        let ran = Box::pin(or_panic(outermost(worker, &mut own, &step.call))).await;
        if step.call.way == Way::Transaction {
            own.end_dropped_transaction().await;
        }
        match ran {
            Ok(Some(ran)) if found_no_server(&ran) => {
                own.close();
                sleep(NO_SERVER).await;
            }
            Ok(_) => {}
            Err(panic) => expect_as_planned(panic),
        }
    }
    own
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

/// Nothing where it was dropped.
async fn outermost(worker: &Worker, own: &mut Own, call: &Call) -> Option<Ran> {
    let whole = async {
        if let Some(lead) = call.lead {
            return leading::lead(worker, call, lead).await;
        }
        let calling = worker.calling(call, None, own.driver());
        let ran = match call.way {
            Way::Connection => on_connection(worker, own, call, &calling).await,
            Way::Transaction => in_transaction(worker, own, call, &calling).await,
            Way::Run | Way::Attribute | Way::Guard => on_own_session(worker, call, &calling).await,
        };
        note(calling, &ran);
        ran
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
        let calling = worker.calling(call, Some(within), "");
        let ran = on_own_session(worker, call, &calling).await;
        note(calling, &ran);
    };
    Box::pin(async move {
        unless_dropped(call, whole).await;
    })
}

async fn on_own_session(worker: &Worker, call: &Call, calling: &Calling<'_>) -> Ran {
    let body = body(worker, call, calling);
    match (call.permits(), &call.keys[..]) {
        (_, _) if call.way == Way::Attribute => by_attribute(worker, call, body).await,
        (Some(permits), _) => by_hand(worker.limit(call, permits), call, body).await,
        (None, [_]) if call.xact => by_hand(worker.lock(call).xact(), call, body).await,
        (None, [_]) => by_hand(worker.lock(call), call, body).await,
        (None, _) => by_hand(worker.several(call), call, body).await,
    }
}

async fn by_attribute(
    worker: &Worker,
    call: &Call,
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Ran {
    let here = &worker.here;
    let id = lock_id(call.keys[0]);
    let wait = match call.wait {
        Wait::For(time) => Some(time),
        Wait::Forever | Wait::Try => None,
    };
    let skipped = match (call.permits(), &call.keys[..], call.wait) {
        (Some(permits), _, Wait::Try) => skipping_limited(here, (permits, id), body).await?,
        (Some(permits), _, _) => limited(here, (permits, id), wait, body).await.map(Some)?,
        (None, [_, other], Wait::Try) => {
            skipping_several(here, &[id, lock_id(*other)], body).await?
        }
        (None, [_, other], _) => several(here, &[id, lock_id(*other)], wait, body)
            .await
            .map(Some)?,
        (None, _, Wait::Try) => skipping(here, id, body).await?,
        (None, _, _) => annotated(here, id, wait, body).await.map(Some)?,
    };
    Ok(skipped.is_some())
}

async fn by_hand<S>(
    lock: Advisory<S>,
    call: &Call,
    body: impl Future<Output = Result<(), Failure>>,
) -> Ran {
    match call.way {
        Way::Guard => guard(lock, call, body).await,
        _ => run(lock, call, body).await,
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

async fn on_connection(worker: &Worker, own: &mut Own, call: &Call, calling: &Calling<'_>) -> Ran {
    let lock = worker.lock(call);
    let body = body(worker, call, calling);
    match own {
        Own::TokioPostgres(client) => {
            let client = tokio_postgres(worker, client).await?;
            guard_on(lock.on_async(client), call, body).await
        }
        Own::Sqlx { connection, begins } => {
            let connection = sqlx(worker, connection, begins).await?;
            guard_on(lock.on_async(connection), call, body).await
        }
        Own::DieselAsync(connection) => {
            let connection = diesel_async(worker, connection).await?;
            guard_on(lock.on_async(connection), call, body).await
        }
    }
}

async fn guard_on<C: AsyncConnection>(
    lock: AdvisoryOnAsync<'_, C>,
    call: &Call,
    body: impl Future<Output = Result<(), Failure>>,
) -> Ran {
    let guard = match call.wait {
        Wait::Try => lock.try_acquire().await?,
        Wait::Forever | Wait::For(_) => Some(lock.acquire().await?),
    };
    let Some(guard) = guard else {
        return Ok(false);
    };
    body.await?;
    guard.release().await.map_err(Failure::Release)?;
    Ok(true)
}

/// The lock's end is the transaction's, which its commit vouches for.
async fn in_transaction(worker: &Worker, own: &mut Own, call: &Call, calling: &Calling<'_>) -> Ran {
    let lock = worker.lock(call);
    let body = body(worker, call, calling);
    match own {
        Own::TokioPostgres(client) => {
            let client = tokio_postgres(worker, client).await?;
            let mut transaction = client.transaction().await?;
            let granted = run_in(lock, &mut transaction, call, body).await?;
            transaction.commit().await?;
            Ok(granted)
        }
        Own::Sqlx { connection, begins } => {
            let connection = sqlx(worker, connection, begins).await?;
            *begins = true;
            let mut transaction = connection.begin().await?;
            *begins = false;
            let granted = run_in(lock, &mut transaction, call, body).await?;
            transaction.commit().await?;
            Ok(granted)
        }
        Own::DieselAsync(connection) => {
            let connection = diesel_async(worker, connection).await?;
            AnsiTransactionManager::begin_transaction(connection).await?;
            let granted = run_in(lock, connection, call, body).await?;
            AnsiTransactionManager::commit_transaction(connection).await?;
            Ok(granted)
        }
    }
}

async fn run_in(
    lock: Advisory,
    transaction: &mut impl AsyncInTransaction,
    call: &Call,
    body: impl Future<Output = Result<(), Failure>>,
) -> Ran {
    let granted = match call.wait {
        Wait::Try => lock.try_acquire_xact_async(transaction).await?,
        Wait::Forever | Wait::For(_) => {
            lock.acquire_xact_async(transaction).await?;
            true
        }
    };
    if granted {
        body.await?;
    }
    Ok(granted)
}

async fn tokio_postgres<'c>(
    worker: &Worker,
    client: &'c mut Option<Client>,
) -> Result<&'c mut Client, Failure> {
    if client.is_none() {
        let mut config: Config = worker.url.parse()?;
        config.application_name(&worker.application_name);
        let (connected, connection) = config.connect(NoTls).await?;
        // Its end shows at the client.
        tokio::spawn(async { drop(connection.await) });
        *client = Some(connected);
    }
    client.as_mut().ok_or(Failure::Driver)
}

async fn sqlx<'c>(
    worker: &Worker,
    connection: &'c mut Option<PgConnection>,
    begins: &mut bool,
) -> Result<&'c mut PgConnection, Failure> {
    if *begins || connection.is_none() {
        let options: PgConnectOptions = worker.url.parse()?;
        let options = options.application_name(&worker.application_name);
        *connection = Some(PgConnection::connect_with(&options).await?);
        *begins = false;
    }
    connection.as_mut().ok_or(Failure::Driver)
}

async fn diesel_async<'c>(
    worker: &Worker,
    connection: &'c mut Option<Box<AsyncPgConnection>>,
) -> Result<&'c mut AsyncPgConnection, Failure> {
    if connection.is_none() {
        let mut connected = AsyncPgConnection::establish(&worker.url).await?;
        connected
            .batch_execute(&format!(
                "SET application_name = '{}'",
                worker.application_name
            ))
            .await?;
        *connection = Some(Box::new(connected));
    }
    connection.as_deref_mut().ok_or(Failure::Driver)
}

async fn body(worker: &Worker, call: &Call, calling: &Calling<'_>) -> Result<(), Failure> {
    inside(worker, call, calling.id(), calling.began()).await
}

/// What a body does that has begun.
pub(super) async fn inside(
    worker: &Worker,
    call: &Call,
    id: u32,
    inside: Inside<'_>,
) -> Result<(), Failure> {
    sleep(call.work).await;
    if let Some(call) = &call.inner {
        inner(worker, call, id).await;
        sleep(call.work).await;
    }
    match call.end {
        End::Return => inside.finish(),
        End::Fail => {
            inside.finish();
            return Err(Failure::AsPlanned);
        }
        End::Panic => panic_as_planned(),
        End::Never => std::future::pending().await,
    }
    Ok(())
}
