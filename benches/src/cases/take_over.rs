//! How long it takes until another process leads.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use pglock_tests::{Child, TestDb, child};
use tokio::sync::Notify;

use super::{Effort, LEADER};
use crate::report::{Section, Table};
use crate::server::{self, Observer, now, within};
use crate::sides::{Failure, Pglock, runtime};
use crate::stats::{Samples, time, whole};

const BOUND: Duration = Duration::from_secs(20);
const KEY: i64 = 1;

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let rounds = effort.pick(2, 50);
    let database = server.create_database();
    let mut observer = Observer::connect(database.url());
    let mut table = Table::new(&["", "p10", "median", "p99"]);
    for (name, end) in ENDS {
        let mut pair = Pair::start(&database);
        let mut samples = Samples::default();
        // The first hand-over is not counted: it is that of processes which have just started.
        for round in 0..=rounds {
            let taken = pair.take_over(&mut observer, end)?;
            if round > 0 {
                samples.push_micros(taken);
            }
        }
        table.rows.push(vec![
            name.to_owned(),
            time(samples.p10()),
            time(samples.median()),
            time(samples.quantile(0.99)),
        ]);
    }
    Ok(Section {
        title: "Take-over by another leader",
        text: vec![format!(
            "Two processes wait to lead by the same lock. From the moment before the one that leads \
             is ended until the body of the other one begins, {} times each. A network that goes \
             silent is not among these: there the server has to notice it, which takes 15 s.",
            whole(rounds),
        )],
        table,
        ..Section::default()
    })
}

/// How the one that leads is ended.
#[derive(Clone, Copy)]
enum End {
    Return,
    Kill,
    Terminate,
}

const ENDS: [(&str, End); 3] = [
    ("the body returns", End::Return),
    ("its process is killed (SIGKILL)", End::Kill),
    ("its session is terminated", End::Terminate),
];

/// One process that leads, and one that waits.
struct Pair<'d> {
    database: &'d TestDb,
    leads: Child,
    waits: Child,
}

impl<'d> Pair<'d> {
    fn start(database: &'d TestDb) -> Self {
        let mut leads = start_leader(database);
        leads.wait_for_line("leads", BOUND);
        Self {
            database,
            leads,
            waits: start_leader(database),
        }
    }

    /// How many microseconds it took.
    fn take_over(&mut self, observer: &mut Observer, end: End) -> Result<f64, Failure> {
        within(BOUND, || observer.waiting() > 0).ok_or("the other process does not wait")?;
        let ended = match end {
            End::Return => {
                self.leads.send_line("return");
                self.leads.wait_for_line("returns", BOUND).parse()?
            }
            End::Kill => {
                let ended = now();
                self.leads.kill();
                ended
            }
            End::Terminate => {
                let holder = self.holder()?;
                let ended = now();
                self.database.terminate(holder);
                ended
            }
        };
        let leads: f64 = self.waits.wait_for_line("leads", BOUND).parse()?;
        std::mem::swap(&mut self.leads, &mut self.waits);
        if let End::Kill = end {
            self.waits = start_leader(self.database);
        }
        Ok(leads - ended)
    }

    fn holder(&self) -> Result<i32, Failure> {
        let locks = self.database.advisory_locks();
        let held = locks.iter().find(|lock| lock.granted);
        Ok(held.ok_or("nobody leads")?.pid)
    }
}

fn start_leader(database: &TestDb) -> Child {
    Child::of("bench", LEADER)
        .argument("URL", database.url())
        .start()
}

/// What such a process does: it leads whenever it can.
pub(super) fn leader(url: &str) -> Result<(), Failure> {
    let pglock = Pglock::new(url)?;
    let returns = Arc::new(Notify::new());
    let told = Arc::clone(&returns);
    thread::spawn(move || runtime().block_on(lead(&pglock, &told)));
    while child::hear().is_some() {
        returns.notify_one();
    }
    Ok(())
}

async fn lead(pglock: &Pglock, returns: &Notify) {
    loop {
        let term = || async {
            child::say(&format!("leads {}", now()));
            returns.notified().await;
            child::say(&format!("returns {}", now()));
            Ok::<_, Failure>(())
        };
        if let Err(error) = pglock.lock(KEY).lead(term).await {
            eprintln!("bench: a leader ended: {error}");
            std::process::exit(1);
        }
    }
}
