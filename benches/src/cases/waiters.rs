//! Many callers of one process who want a lock that another session holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::Effort;
use crate::report::{Goal, Section, Table, Target};
use crate::server::{self, Observer, Peak, within};
use crate::sides::{Bare, Failure, Pglock, background_runtime};
use crate::stats::{Samples, time, whole};

const KEY: i64 = 1;
const BOUND: Duration = Duration::from_mins(1);

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let impatient = effort.pick(100, 10_000);
    let patient = effort.pick(50, 1_000);
    let runtime = background_runtime();
    let late = timeouts(&runtime, server.create_database().url(), impatient)?;
    let queue = queue(&runtime, server.create_database().url(), patient)?;
    let mut text = vec![format!(
        "{} tasks with `timeout` 1 s, whose lock is never freed: all should be `Busy`, at 1 s. Then {} \
         tasks without one: the lock is freed when all wait, and each releases it at once; \"after\" \
         counts from there. Connections are the most that were seen.",
        whole(impatient),
        whole(patient),
    )];
    let error = late.error.or(queue.error);
    text.extend(error.map(|error| format!("The first other error: {error}.")));
    let mut table = Table::new(&["", "outcome", "first after", "last after", "connections"]);
    table.rows = vec![late.row, queue.row];
    let mut targets = late.targets;
    targets.extend(queue.targets);
    Ok(Section {
        title: "Waiting for a lock that another session holds",
        text,
        table,
        targets: if effort == Effort::Full {
            targets
        } else {
            Vec::new()
        },
        ..Section::default()
    })
}

struct Outcome {
    row: Vec<String>,
    targets: Vec<Target>,
    error: Option<String>,
}

/// All time out.
fn timeouts(runtime: &Runtime, url: &str, callers: usize) -> Result<Outcome, Failure> {
    let pglock = Pglock::new(url)?;
    let mut holder = Bare::connect(url)?;
    holder.wait(KEY)?;
    let peak = Peak::watch(url);
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let lock = pglock.lock(KEY).timeout(Duration::from_secs(1));
            runtime.spawn(async move {
                let asked = Instant::now();
                let result = lock.acquire_async().await;
                (result.map(drop), asked.elapsed())
            })
        })
        .collect();
    let mut outcomes = BTreeMap::<String, usize>::new();
    let mut after = Samples::default();
    let mut error = None;
    for task in tasks {
        let (result, elapsed) = bounded(runtime, task)?;
        after.push(elapsed);
        let outcome = match result {
            Ok(()) => "Acquired".to_owned(),
            Err(failure) => {
                if !failure.is_busy() {
                    error.get_or_insert(failure.to_string());
                }
                format!("{:?}", failure.kind())
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    // But for the holder's.
    let connections = peak.end() - 1;
    let busy = outcomes.get("Busy").copied().unwrap_or_default();
    let outcomes = outcomes.iter();
    let outcomes: Vec<String> = outcomes
        .map(|(outcome, count)| format!("{} {outcome}", whole(*count)))
        .collect();
    let last = after.quantile(1.0);
    Ok(Outcome {
        row: vec![
            format!("{} with `timeout` 1 s", whole(callers)),
            outcomes.join(", "),
            time(after.quantile(0.0)),
            time(last),
            whole(connections),
        ],
        targets: vec![
            at_least(
                "10,000 callers of a held lock, `timeout` 1 s: `Busy`",
                callers,
                busy,
            ),
            Target {
                what: "the same: the last answer after",
                goal: Goal::AtMost(1.05),
                measured: Some(last / 1e6),
                unit: "s",
            },
        ],
        error,
    })
}

/// All acquire it, one after the other.
fn queue(runtime: &Runtime, url: &str, callers: usize) -> Result<Outcome, Failure> {
    let pglock = Pglock::new(url)?;
    let mut holder = Bare::connect(url)?;
    holder.wait(KEY)?;
    let mut observer = Observer::connect(url);
    let peak = Peak::watch(url);
    let asked = Arc::new(AtomicUsize::new(0));
    let acquired = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (lock, asked, acquired) = (pglock.lock(KEY), asked.clone(), acquired.clone());
            runtime.spawn(async move {
                // One thread runs all tasks, so that each asks before the next one has its place.
                let place = asked.fetch_add(1, Ordering::SeqCst);
                let guard = lock.acquire_async().await?;
                let entry = (place, Instant::now());
                acquired
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(entry);
                guard.release_async().await
            })
        })
        .collect();
    within(BOUND, || {
        asked.load(Ordering::SeqCst) == callers && observer.waiting() > 0
    })
    .ok_or("nobody waits in the server")?;
    let freed = Instant::now();
    holder.unlock(KEY)?;
    let mut error = None;
    for task in tasks {
        if let Err(failure) = bounded(runtime, task)? {
            error.get_or_insert(failure.to_string());
        }
    }
    // But for the holder's.
    let connections = peak.end() - 1;
    let acquired = std::mem::take(&mut *acquired.lock().unwrap_or_else(PoisonError::into_inner));
    let mut after = Samples::default();
    for (_, when) in &acquired {
        after.push(when.saturating_duration_since(freed));
    }
    let overtaken = acquired
        .windows(2)
        .filter(|pair| pair[0].0 > pair[1].0)
        .count();
    let order = match overtaken {
        0 => "in order".to_owned(),
        _ => format!("{} out of order", whole(overtaken)),
    };
    Ok(Outcome {
        row: vec![
            format!("{} without a timeout", whole(callers)),
            format!("{} acquired, {order}", whole(acquired.len())),
            time(after.quantile(0.0)),
            time(after.quantile(1.0)),
            whole(connections),
        ],
        targets: vec![
            at_least(
                "1,000 waiters of one lock: acquired",
                callers,
                acquired.len(),
            ),
            at_most("the same: out of order", 0, overtaken),
            at_most("the same: connections", 2, connections),
        ],
        error,
    })
}

/// What a task returns, unless it hangs.
fn bounded<T>(runtime: &Runtime, task: tokio::task::JoinHandle<T>) -> Result<T, Failure> {
    Ok(runtime.block_on(async { tokio::time::timeout(BOUND, task).await })??)
}

fn at_most(what: &'static str, goal: usize, measured: usize) -> Target {
    Target {
        what,
        goal: Goal::AtMost(goal as f64),
        measured: Some(measured as f64),
        unit: "",
    }
}

fn at_least(what: &'static str, goal: usize, measured: usize) -> Target {
    Target {
        goal: Goal::AtLeast(goal as f64),
        ..at_most(what, goal, measured)
    }
}
