//! A digest that three processes schedule by the same clock, with tokio-cron-scheduler: each tick runs once over all of
//! them.
//!
//! Run it with `cargo run -p pglock-examples --example scheduled`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use pglock_examples as demo;
use pglock_examples::Error;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler};

/// How many ticks each process sees before it ends.
const TICKS: usize = 4;

/// How many seconds are between two ticks.
const EVERY: u64 = 2;

/// One process runs it; the others skip, also those that are late. The scheduler looks at the clock twice a second, so
/// one may be half a second behind another: the lock is kept for longer than that, and for less than is between two ticks.
#[pglock::advisory("digest", timeout = 0, side_effect = Skip, hold_at_least = "1s")]
async fn digest() -> Result<Option<Ran>, pglock::Error> {
    // Here it would send mails.
    Ok(Some(Ran))
}

/// What the digest returns, to tell a run from a skip.
struct Ran;

/// One of the three processes: schedules the digest, and answers what became of each tick.
#[tokio::main]
async fn schedule() -> Result<String, Error> {
    let (ticks, mut ended) = mpsc::unbounded_channel();
    let mut scheduler = JobScheduler::new().await?;
    let job = Job::new_async("*/2 * * * * *", move |_, _| {
        let ticks = ticks.clone();
        Box::pin(async move {
            let tick = this_tick();
            // Nobody listens any more when the process ends.
            let _ = ticks.send((tick, digest().await));
        })
    })?;
    scheduler.add(job).await?;
    scheduler.start().await?;
    let mut answer = Vec::new();
    while answer.len() < TICKS {
        let (tick, outcome) = ended.recv().await.ok_or("the scheduler has ended")?;
        let outcome = outcome?.map_or("skipped", |Ran| "ran");
        answer.push(format!("{tick}:{outcome}"));
    }
    scheduler.shutdown().await?;
    // Until the lock is no longer kept: it would be free as soon as the process ends.
    pglock::drain_and_close_async().await;
    Ok(answer.join(" "))
}

/// The second for which this tick was planned. The scheduler is late by less than two.
fn this_tick() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs() / EVERY * EVERY)
}

/// Who ran a tick, and how many skipped it.
#[derive(Default)]
struct Tick {
    ran: Vec<String>,
    skipped: usize,
}

fn demo() -> Result<(), Error> {
    if demo::worker().is_some() {
        return demo::take_orders(|_| schedule());
    }
    let db = demo::create_database()?;
    let mut crew = demo::Crew::start(&db, &["worker-1", "worker-2", "worker-3"])?;
    println!("Three processes schedule the digest, each for {TICKS} ticks, one every {EVERY} s.");
    let mut ticks: BTreeMap<u64, Tick> = BTreeMap::new();
    let mut unclear = None;
    crew.order("start", |worker, answer| {
        for one in answer.split(' ') {
            let Some((Ok(second), outcome)) = one
                .split_once(':')
                .map(|(it, outcome)| (it.parse(), outcome))
            else {
                unclear = Some(format!("{worker} answered {answer:?}"));
                return;
            };
            let tick = ticks.entry(second).or_default();
            match outcome {
                "ran" => tick.ran.push(worker.to_owned()),
                _ => tick.skipped += 1,
            }
        }
    })?;
    if let Some(answer) = unclear {
        return Err(answer.into());
    }

    println!("\nWho ran which tick:");
    let first = ticks.keys().next().copied().unwrap_or_default();
    for (second, tick) in &ticks {
        let (at, ran) = (second - first, tick.ran.join(", "));
        println!("  at {at} s: {ran} ran, {} skipped", tick.skipped);
    }
    // A process may have started after the first tick, and ended after the last one.
    match ticks.iter().find(|(_, tick)| tick.ran.len() != 1) {
        None => println!("Each tick ran once."),
        Some((second, tick)) => {
            let (at, times) = (second - first, tick.ran.len());
            return Err(format!("the tick at {at} s ran {times} times instead of once").into());
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn it_runs() -> Result<(), Error> {
    demo()
}
