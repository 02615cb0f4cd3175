//! Three workers of which one leads; the leader is stopped twice, and another one goes on each time.
//!
//! Run it with `cargo run -p pglock-examples --example leader`.

use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

use pglock::Database;
use pglock_examples as demo;
use pglock_examples::Error;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::task::JoinHandle;

/// Runs in one of all workers, on whatever host they are.
#[pglock::leader("scheduler", using = &database)]
async fn schedule(
    database: Database,
    worker: usize,
    leads: UnboundedSender<usize>,
) -> Result<Infallible, pglock::Error> {
    println!("worker {worker} leads");
    // Nobody listens any more when the example ends.
    let _ = leads.send(worker);
    loop {
        // A scheduler would start here what is due.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

fn main() -> ExitCode {
    demo::exit_code(run())
}

#[tokio::main]
async fn run() -> Result<(), Error> {
    let database = tokio::task::spawn_blocking(demo::create_database).await??;
    let (leads, mut leaders) = mpsc::unbounded_channel();
    let mut workers: Vec<JoinHandle<_>> = (0..3)
        .map(|worker| {
            // Each as a process of its own, with its own session.
            let name = format!("worker {worker}");
            let here = Database::builder(database.url())
                .application_name(name)
                .build();
            Ok(tokio::spawn(schedule(here?, worker, leads.clone())))
        })
        .collect::<Result<_, Error>>()?;
    let mut stopped = Vec::new();
    while stopped.len() < 3 {
        let leader = leaders.recv().await.ok_or("no worker leads")?;
        if stopped.contains(&leader) {
            return Err(format!("worker {leader} was stopped, and leads again").into());
        }
        println!("worker {leader} is stopped");
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
