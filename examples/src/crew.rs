//! Worker processes: this program again, several times.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use pglock_tests::TestDb;

use crate::Error;

/// How long an answer may take, on a slow machine.
const BOUND: Duration = Duration::from_secs(120);

/// The environment variable with the name of a worker.
const WORKER: &str = "PGLOCK_EXAMPLE_WORKER";

/// The first line that a worker writes, when it can take orders.
const READY: &str = "ready";

/// Before each answer: in a test, the test runner prints to the same place.
const PREFIX: &str = "@@ ";

/// Worker processes that get their orders at the same moment. They end when this is dropped, or when this process ends.
#[derive(Debug)]
pub struct Crew {
    workers: Vec<Worker>,
    /// The worker's index, and its answer; `None` when it has ended.
    answers: Receiver<(usize, Option<String>)>,
}

#[derive(Debug)]
struct Worker {
    name: String,
    process: Child,
    orders: ChildStdin,
}

impl Crew {
    /// Starts this program again, once for each name, which [`worker`] says there, and which is the `application_name`
    /// in its `DATABASE_URL`; returns when all are ready.
    ///
    /// # Errors
    ///
    /// When one cannot be started.
    pub fn start(db: &TestDb, names: &[&str]) -> Result<Self, Error> {
        let (sender, receiver) = channel();
        let mut crew = Self {
            workers: Vec::new(),
            answers: receiver,
        };
        for (worker, name) in names.iter().enumerate() {
            let mut process = Command::new(std::env::current_exe()?)
                // Where this is the test of an example, so are its workers.
                .args(["it_runs", "--exact", "--nocapture"])
                .env(WORKER, name)
                .env("DATABASE_URL", named(db.url(), name))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (Some(orders), Some(answers)) = (process.stdin.take(), process.stdout.take())
            else {
                return Err("a worker has no pipes".into());
            };
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(answers).lines().map_while(Result::ok) {
                    if let Some((_, answer)) = line.split_once(PREFIX) {
                        // An error means that the crew was dropped, so nobody needs the answer.
                        let _ = sender.send((worker, Some(answer.to_owned())));
                    }
                }
                let _ = sender.send((worker, None));
            });
            crew.workers.push(Worker {
                name: (*name).to_owned(),
                process,
                orders,
            });
        }
        crew.await_answers(|_, _| {})?;
        Ok(crew)
    }

    /// Gives all workers the same order at the same moment, and calls `heard` with the name and the answer of each.
    ///
    /// # Errors
    ///
    /// When a worker ends, or does not answer in time.
    pub fn order(&mut self, order: &str, heard: impl FnMut(&str, &str)) -> Result<(), Error> {
        for worker in &mut self.workers {
            writeln!(worker.orders, "{order}")?;
        }
        self.await_answers(heard)
    }

    fn await_answers(&self, mut heard: impl FnMut(&str, &str)) -> Result<(), Error> {
        for _ in &self.workers {
            let (worker, answer) = self
                .answers
                .recv_timeout(BOUND)
                .map_err(|_| format!("a worker did not answer within {BOUND:?}"))?;
            let name = &self.workers[worker].name;
            // The worker has written the reason to standard error.
            let answer = answer.ok_or_else(|| format!("{name} has ended too early"))?;
            heard(name, &answer);
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            // It may have ended by itself.
            let _ = worker.process.kill();
            let _ = worker.process.wait();
        }
    }
}

/// The name of this worker, in a process that a [`Crew`] has started.
#[must_use]
pub fn worker() -> Option<String> {
    std::env::var(WORKER).ok()
}

/// In a worker: writes that it is ready, then carries out each order and writes the answer, until no more come.
///
/// # Errors
///
/// Those of the work; also when the parent is gone.
pub fn take_orders(mut work: impl FnMut(&str) -> Result<String, Error>) -> Result<(), Error> {
    println!("{PREFIX}{READY}");
    for order in std::io::stdin().lines() {
        let answer = work(&order?)?;
        writeln!(std::io::stdout(), "{PREFIX}{answer}")?;
    }
    Ok(())
}

/// The URL of a database, for a client of that name.
fn named(url: &str, name: &str) -> String {
    let separator = match (url.contains("://"), url.contains('?')) {
        (true, true) => '&',
        (true, false) => '?',
        (false, _) => ' ',
    };
    format!("{url}{separator}application_name={name}")
}
