//! Invoices that are billed by two job queues, apalis and `graphile_worker`: one job at a time for each customer. A job that
//! finds its customer busy goes back to the queue, and is run later.
//!
//! Run it with `cargo run -p pglock-examples --example queues`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use apalis::layers::retry::backoff::{ExponentialBackoffMaker, MakeBackoff as _};
use apalis::prelude::{
    Event, EventListenerExt as _, MemoryStorage, RetryPolicy, TaskSink as _, WorkerBuilder,
    WorkerBuilderExt as _,
};
use graphile_worker::{IntoTaskHandlerResult, JobSpec, TaskHandler, WorkerContext, WorkerOptions};
use pglock::{Database, Guard};
use pglock_examples as demo;
use pglock_examples::Error;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_postgres::NoTls;

#[derive(Clone, Serialize, Deserialize)]
struct Bill {
    customer: u32,
}

/// Two jobs for customer 7, and one for another.
const JOBS: [Bill; 3] = [
    Bill { customer: 7 },
    Bill { customer: 7 },
    Bill { customer: 8 },
];

/// One job at a time for each customer, over all queues and all hosts. The timeout is short for the example's sake.
#[pglock::advisory("invoices-{job.customer}", timeout = "100ms")]
async fn bill(job: Bill) -> Result<(), Error> {
    println!("  customer {} is billed", job.customer);
    Ok(())
}

/// The lock of customer 7, as another process would hold it: with a session of its own.
async fn lock_elsewhere(url: &str) -> Result<Guard, Error> {
    let there = Database::builder(url)
        .application_name("somebody else")
        .build()?;
    let lock = pglock::advisory("invoices-7").using(there);
    Ok(lock.acquire_async().await?)
}

/// apalis: the annotated function is the handler.
async fn by_apalis(url: &str) -> Result<(), Error> {
    println!("apalis, while somebody else bills customer 7:");
    let guard = lock_elsewhere(url).await?;
    let mut storage = MemoryStorage::new();
    for job in JOBS {
        storage.push(job).await?;
    }
    let (busy, mut retries) = mpsc::unbounded_channel();
    let is_busy = move |error: &Error| {
        let busy_lock = pglock::Error::find(&**error).filter(|it| it.is_busy());
        if let Some(error) = busy_lock {
            println!("  retried later: {error}");
            // Only the first one is waited for.
            let _ = busy.send(());
        }
        busy_lock.is_some()
    };
    let done = AtomicUsize::new(0);
    let backoff = ExponentialBackoffMaker::default().make_backoff();
    let worker = WorkerBuilder::new("bill")
        .backend(storage)
        .concurrency(4)
        .retry(
            RetryPolicy::retries(20)
                .with_backoff(backoff)
                .retry_if(is_busy),
        )
        .on_event(move |worker, event| {
            let is_done = matches!(event, Event::Success(_));
            if is_done && done.fetch_add(1, Ordering::Relaxed) + 1 == JOBS.len() {
                // It runs already, so it can be stopped.
                let _ = worker.stop();
            }
        })
        .build(bill);
    let somebody_else = async {
        retries.recv().await;
        println!("  somebody else is done with customer 7");
        guard.release_async().await
    };
    let (ran, released) = tokio::join!(worker.run(), somebody_else);
    ran?;
    Ok(released?)
}

/// `graphile_worker`: the handler calls the annotated function. Its `Err` goes back to the queue, a busy lock's too.
impl TaskHandler for Bill {
    const IDENTIFIER: &'static str = "bill";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        bill(self).await
    }
}

async fn by_graphile_worker(url: &str) -> Result<(), Error> {
    println!("graphile_worker, while somebody else bills customer 7:");
    let guard = lock_elsewhere(url).await?;
    let worker = WorkerOptions::default()
        .database_url(url)
        .concurrency(4)
        .define_job::<Bill>()
        .init()
        .await?;
    let queue = worker.create_utils();
    for job in JOBS {
        queue.add_job(job, JobSpec::default()).await?;
    }
    worker.run_once().await?;

    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // The task ends with the client. Errors before that are returned by the client's statements.
    tokio::spawn(connection);
    let select = "SELECT attempts, last_error FROM graphile_worker.jobs";
    let waiting = client.query(select, &[]).await?;
    for row in &waiting {
        let (attempts, error): (i16, &str) = (row.get(0), row.get(1));
        if !error.contains("is busy") {
            return Err(format!("a job ended with {error}").into());
        }
        println!("  back in the queue after attempt {attempts}, since the lock is busy");
    }
    if waiting.len() != 2 {
        return Err(format!("{} jobs are in the queue instead of 2", waiting.len()).into());
    }
    guard.release_async().await?;
    println!("  somebody else is done with customer 7");
    // As when the queue's pause is over.
    let set = "UPDATE graphile_worker._private_jobs SET run_at = now()";
    client.execute(set, &[]).await?;
    worker.run_once().await?;
    match client.query(select, &[]).await?.len() {
        0 => Ok(()),
        left => Err(format!("{left} jobs are left in the queue").into()),
    }
}

#[tokio::main]
async fn run_both(url: &str) -> Result<(), Error> {
    pglock::configure(url)?;
    by_apalis(url).await?;
    by_graphile_worker(url).await?;
    println!("All jobs are done.");
    pglock::drain_and_close_async().await;
    Ok(())
}

fn demo() -> Result<(), Error> {
    let db = demo::create_database()?;
    run_both(db.url())
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn it_runs() -> Result<(), Error> {
    demo()
}
