//! How long it takes from a release in one process until the waiter in another one has the lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use pglock_tests::{Child, child};

use super::{Effort, WAITER};
use crate::report::{Goal, Section, Table, Target};
use crate::server::{self, Observer, now, within};
use crate::sides::{Bare, Failure, Pglock, runtime};
use crate::stats::{Samples, time, times, whole};
use crate::turns;

const BOUND: Duration = Duration::from_secs(10);
/// Of those who load the server, each on a key of its own from 1 on.
const LOAD: i64 = 64;
const KEY: i64 = 1_000_000;

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let rounds = effort.pick(1, 20);
    let mut table = Table::new(&["", "p10", "median", "p99", "median / bare"]);
    let mut targets = Vec::new();
    for is_loaded in [false, true] {
        let database = server.create_database();
        let url = database.url();
        let start_bare = |side| {
            Ok::<_, Failure>(Side::start(
                side,
                url,
                Holder::Bare(Box::new(Bare::connect(url)?)),
            ))
        };
        let (mut bare, mut passed_on) = (start_bare("bare")?, start_bare("thread")?);
        let pglock = Pglock::new(url)?;
        let mut pglocks = Side::start("pglock", url, Holder::Pglock(pglock.clone()));
        let mut observer = Observer::connect(url);
        let load = is_loaded.then(|| Load::start(pglock));
        for _ in 0..rounds {
            for side in [&mut bare, &mut passed_on, &mut pglocks] {
                for _ in 0..10 {
                    side.hand_over(&mut observer)?;
                }
            }
        }
        drop(load);
        let reference = bare.samples.median();
        let ratio = pglocks.samples.median() / reference;
        let when = if is_loaded { "under load" } else { "idle" };
        for (name, side) in [
            ("`pg_advisory_lock`", &bare),
            ("`pg_advisory_lock` on another thread", &passed_on),
            ("pglock `acquire`", &pglocks),
        ] {
            table.rows.push(vec![
                format!("{name}, {when}"),
                time(side.samples.p10()),
                time(side.samples.median()),
                time(side.samples.quantile(0.99)),
                times(side.samples.median(), reference),
            ]);
        }
        if !is_loaded {
            targets.push(Target {
                what: "hand-over to another process / `pg_advisory_lock`",
                goal: Goal::AtMost(1.3),
                measured: Some(ratio),
                unit: "x",
            });
        }
    }
    targets.truncate(effort.pick(0, 1));
    Ok(Section {
        title: "Hand-over to another process",
        text: vec![format!(
            "From the moment before the release in one process until the waiter in another process \
             has the lock, {} times each. \"On another thread\": the one that waits in the server passes the \
             lock on by a channel, as pglock's thread does, which waits for all callers of a lock. Under load, {LOAD} \
             tasks of the releasing process acquire and release locks of their own through pglock as fast as they \
             can, for all sides.",
            whole(rounds * 10),
        )],
        table,
        targets,
        ..Section::default()
    })
}

/// Who holds in this process.
enum Holder {
    Bare(Box<Bare>),
    Pglock(Pglock),
}

/// A holder in this process and a waiter in another.
struct Side {
    holder: Holder,
    waiter: Child,
    samples: Samples,
}

impl Side {
    fn start(name: &str, url: &str, holder: Holder) -> Side {
        let waiter = start_waiter(name, url);
        Side {
            holder,
            waiter,
            samples: Samples::default(),
        }
    }

    fn hand_over(&mut self, observer: &mut Observer) -> Result<(), Failure> {
        let mut guard = None;
        match &mut self.holder {
            Holder::Bare(bare) => bare.wait(KEY)?,
            Holder::Pglock(pglock) => guard = Some(pglock.lock(KEY).acquire()?),
        }
        self.waiter.send_line(&KEY.to_string());
        within(BOUND, || observer.waiting() > 0).ok_or("the other process does not wait")?;
        let released = now();
        match &mut self.holder {
            Holder::Bare(bare) => bare.unlock(KEY)?,
            Holder::Pglock(_) => guard.expect("it was acquired").release()?,
        }
        let acquired: f64 = self.waiter.wait_for_line("acquired", BOUND).parse()?;
        self.waiter.wait_for_line("released", BOUND);
        self.samples.push_micros(acquired - released);
        Ok(())
    }
}

/// A process that waits for each lock that it is told.
pub(super) fn start_waiter(side: &str, url: &str) -> Child {
    Child::of("bench", WAITER)
        .argument("URL", url)
        .argument("SIDE", side)
        .start()
}

/// What such a process does.
pub(super) fn waiter(url: &str, side: &str) -> Result<(), Failure> {
    let mut bare = (side == "bare").then(|| Bare::connect(url)).transpose()?;
    let thread = (side == "thread")
        .then(|| WaitingThread::start(url))
        .transpose()?;
    let pglock = Pglock::new(url)?;
    while let Some(line) = child::hear() {
        let key = line.parse()?;
        if let Some(bare) = &mut bare {
            bare.wait(key)?;
            let acquired = now();
            bare.unlock(key)?;
            child::say(&format!("acquired {acquired}"));
        } else if let Some(thread) = &thread {
            thread.wait(key)?;
            let acquired = now();
            thread.wait_until_released()?;
            child::say(&format!("acquired {acquired}"));
        } else {
            let guard = pglock.lock(key).acquire()?;
            let acquired = now();
            guard.release()?;
            child::say(&format!("acquired {acquired}"));
        }
        child::say("released");
    }
    Ok(())
}

/// A bare client on a thread of its own, which passes on what it has.
struct WaitingThread {
    keys: mpsc::Sender<i64>,
    answers: mpsc::Receiver<Answer>,
}

#[derive(Clone, Copy, PartialEq)]
enum Answer {
    Acquired,
    Released,
}

impl WaitingThread {
    fn start(url: &str) -> Result<WaitingThread, Failure> {
        let mut bare = Bare::connect(url)?;
        let (keys, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        thread::spawn(move || -> Result<(), Failure> {
            for key in asked {
                bare.wait(key)?;
                answer.send(Answer::Acquired)?;
                bare.unlock(key)?;
                answer.send(Answer::Released)?;
            }
            Ok(())
        });
        Ok(WaitingThread { keys, answers })
    }

    fn wait(&self, key: i64) -> Result<(), Failure> {
        self.keys.send(key)?;
        self.expect(Answer::Acquired)
    }

    fn wait_until_released(&self) -> Result<(), Failure> {
        self.expect(Answer::Released)
    }

    fn expect(&self, expected: Answer) -> Result<(), Failure> {
        let answer = self.answers.recv()?;
        (answer == expected)
            .then_some(())
            .ok_or_else(|| "the thread has lost its turn".into())
    }
}

/// Tasks that keep pglock and the server busy until this is dropped.
struct Load {
    ended: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Load {
    fn start(pglock: Pglock) -> Load {
        let ended = Arc::new(AtomicBool::new(false));
        let stop = ended.clone();
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                runtime().block_on(turns::tasks(&pglock, LOAD, Duration::from_millis(200)));
            }
        });
        Load {
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
