//! Taking turns: each side runs for a moment, then the next one, so that what disturbs the machine disturbs all of them.

use std::thread;
use std::time::{Duration, Instant};

use crate::sides::{Failure, OneCaller, Pair};
use crate::stats::Samples;

/// Lets each of those that `connect` returns do `pairs` pairs in each of `rounds` turns, after as many that are not counted.
///
/// They connect anew for each turn. Which core a server's process is on is decided as it starts, and stays; a pair takes three
/// times as long on another core than the client's.
pub(crate) fn one_caller(
    mut connect: impl FnMut() -> Result<Vec<Box<dyn OneCaller>>, Failure>,
    rounds: usize,
    pairs: usize,
) -> Result<Vec<(String, Samples)>, Failure> {
    let mut sides: Vec<(String, Samples)> = Vec::new();
    for _ in 0..rounds {
        let mut callers = connect()?;
        sides.resize_with(callers.len(), Default::default);
        for (caller, (name, samples)) in callers.iter_mut().zip(&mut sides) {
            caller.name().clone_into(name);
            caller.pairs(pairs)?;
            samples.extend(caller.pairs(pairs)?);
        }
    }
    Ok(sides)
}

/// What many callers did in one turn.
#[derive(Debug, Default, Clone)]
pub(crate) struct Turn {
    pub(crate) pairs: usize,
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
    pub(crate) seconds: f64,
}

impl Turn {
    /// Pairs per second.
    pub(crate) fn rate(&self) -> f64 {
        self.pairs as f64 / self.seconds
    }

    fn count(&mut self, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.pairs += 1,
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }

    fn add(&mut self, other: Turn) {
        self.pairs += other.pairs;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// That many tasks, each on a key of its own, until the time is over.
pub(crate) async fn tasks<P: Pair>(side: &P, callers: i64, time: Duration) -> Turn {
    let start = Instant::now();
    let tasks: Vec<_> = (1..=callers)
        .map(|key| {
            let side = side.clone();
            tokio::spawn(async move {
                let mut turn = Turn::default();
                while start.elapsed() < time {
                    let result = side.pair(key).await;
                    if result.is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    turn.count(result);
                }
                turn
            })
        })
        .collect();
    let mut sum = Turn::default();
    for task in tasks {
        sum.add(task.await.expect("the task does not panic"));
    }
    sum.seconds = start.elapsed().as_secs_f64();
    sum
}

/// That many threads, each on a key of its own and with what `side` made for it, until the time is over.
pub(crate) fn threads<S: Send>(
    sides: &mut [S],
    time: Duration,
    pair: impl Fn(&mut S, i64) -> Result<(), Failure> + Sync,
) -> Turn {
    let start = Instant::now();
    let mut sum = Turn::default();
    thread::scope(|scope| {
        let pair = &pair;
        let threads: Vec<_> = (1..)
            .zip(sides)
            .map(|(key, side)| {
                scope.spawn(move || {
                    let mut turn = Turn::default();
                    while start.elapsed() < time {
                        let result = pair(side, key);
                        if result.is_err() {
                            thread::sleep(PAUSE);
                        }
                        turn.count(result);
                    }
                    turn
                })
            })
            .collect();
        for thread in threads {
            sum.add(thread.join().expect("the thread does not panic"));
        }
    });
    sum.seconds = start.elapsed().as_secs_f64();
    sum
}

/// After an error: a side that fails at once must not take the machine from the server that it fails on.
const PAUSE: Duration = Duration::from_millis(1);
