//! Three workers of which one leads; the leader is stopped twice, and another one goes on each time.
//!
//! Run it with `cargo run -p pglock-examples --example leader`.

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pglock::Database;
use pglock_examples as demo;
use pglock_examples::Error;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinHandle;

/// Runs in one of all workers, on whatever host they are.
#[pglock::leader("scheduler", using = &database)]
async fn schedule(
    database: Database,
    worker: usize,
    leads: UnboundedSender<Term>,
    leading: Arc<Mutex<()>>,
) -> Result<Infallible, pglock::Error> {
    println!("worker {worker} leads");
    // Until the body is dropped, which is before the next worker leads.
    let alone = leading.try_lock();
    let is_alone = alone.is_ok();
    // Nobody listens any more when the example ends.
    let _ = leads.send(Term { worker, is_alone });
    loop {
        // A scheduler would start here what is due.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A worker that has begun to lead, and whether no other did.
struct Term {
    worker: usize,
    is_alone: bool,
}

#[tokio::main]
async fn demo() -> Result<(), Error> {
    let database = Arc::new(tokio::task::spawn_blocking(demo::create_database).await??);
    let (leads, mut leaders) = mpsc::unbounded_channel();
    let leading = Arc::new(Mutex::new(()));
    let mut workers: Vec<JoinHandle<_>> = (0..3)
        .map(|worker| {
            // Each as a process of its own, with its own session.
            let name = format!("worker {worker}");
            let here = Database::builder(database.url())
                .application_name(name)
                .build();
            Ok(tokio::spawn(schedule(
                here?,
                worker,
                leads.clone(),
                Arc::clone(&leading),
            )))
        })
        .collect::<Result<_, Error>>()?;
    let mut stopped = Vec::new();
    while stopped.len() < 3 {
        let term = leaders.recv().await.ok_or("no worker leads")?;
        let leader = term.worker;
        if !term.is_alone {
            return Err(format!("worker {leader} leads beside another one").into());
        }
        if stopped.contains(&leader) {
            return Err(format!("worker {leader} was stopped, and leads again").into());
        }
        // Stopped any sooner, it would leave before the others have come.
        let (observer, waiting) = (Arc::clone(&database), 2 - stopped.len());
        tokio::task::spawn_blocking(move || observer.wait_for_waiters(waiting)).await?;
        println!("worker {leader} is stopped; waiting: {waiting}");
        // As at the end of its process: the future is dropped.
        workers[leader].abort();
        let ended = (&mut workers[leader]).await;
        if !ended.is_err_and(|ended| ended.is_cancelled()) {
            return Err(format!("worker {leader} ended by itself").into());
        }
        stopped.push(leader);
    }
    println!("each has led once, and no two at a time");
    pglock::drain_and_close_async().await;
    Ok(())
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn it_runs() -> Result<(), Error> {
    demo()
}
