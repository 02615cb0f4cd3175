//! `CREATE INDEX CONCURRENTLY` by the holder of a lock that other processes wait for: it waits for all snapshots, and who waits
//! in the server for a lock has one.

use std::time::{Duration, Instant};

use pglock_tests::{Child, TestDb};
use postgres::Client;

use super::Effort;
use super::hand_over::start_waiter;
use crate::report::{Goal, Section, Table, Target};
use crate::server::{self, Observer, within};
use crate::sides::{Bare, Failure, Pglock};
use crate::stats::{time, whole};

const KEY: i64 = 1;
const BOUND: Duration = Duration::from_secs(30);

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let processes = effort.pick(3, 20);
    let patience = Duration::from_secs(effort.pick(2, 10));
    let mut table = Table::new(&["", "the index is there after"]);
    let mut times = Vec::new();
    for side in [None, Some("bare"), Some("pglock")] {
        let took = index(&server.create_database(), side, processes, patience)?;
        table.rows.push(vec![
            match side {
                None => "nobody waits".to_owned(),
                Some("bare") => format!("{processes} processes wait in `pg_advisory_lock`"),
                Some(_) => format!("{processes} processes wait in pglock's `acquire`"),
            },
            took.map_or_else(
                || format!("not within {} s", patience.as_secs()),
                |took| time(took.as_secs_f64() * 1e6),
            ),
        ]);
        times.push(took);
    }
    let delay = || Some(times[2]?.as_secs_f64() - times[0]?.as_secs_f64());
    let target = Target {
        what: "`CREATE INDEX CONCURRENTLY` while 20 processes wait: delayed by",
        goal: Goal::AtMost(2.0),
        measured: delay(),
        unit: "s",
    };
    Ok(Section {
        title: "`CREATE INDEX CONCURRENTLY` by the holder",
        text: vec![format!(
            "On a table of {} rows, by the process that holds the lock, on another connection. It waits \
             for all transactions that are older, and a statement that waits for a lock is one.",
            whole(ROWS),
        )],
        table,
        targets: if effort == Effort::Full {
            vec![target]
        } else {
            Vec::new()
        },
        ..Section::default()
    })
}

const ROWS: u64 = 10_000;

fn index(
    database: &TestDb,
    side: Option<&str>,
    processes: usize,
    patience: Duration,
) -> Result<Option<Duration>, Failure> {
    let mut holder = Bare::connect(database.url())?;
    holder.client.batch_execute(&format!(
        "CREATE TABLE items AS SELECT n FROM generate_series(1, {ROWS}) n; ANALYZE items; SET statement_timeout = {}",
        patience.as_millis(),
    ))?;
    let guard = Pglock::new(database.url())?.lock(KEY).acquire()?;
    let mut waiters: Vec<Child> = Vec::new();
    if let Some(side) = side {
        waiters.extend((0..processes).map(|_| start_waiter(side, database.url())));
        let mut observer = Observer::connect(database.url());
        for waiter in &mut waiters {
            waiter.send_line(&KEY.to_string());
        }
        within(BOUND, || observer.waiting() == processes).ok_or("the processes do not wait")?;
    }
    let took = create(&mut holder.client)?;
    guard.release()?;
    for waiter in &mut waiters {
        waiter.wait_for_line("released", BOUND);
    }
    Ok(took)
}

/// How long it took, or `None` if it was canceled.
fn create(client: &mut Client) -> Result<Option<Duration>, Failure> {
    let start = Instant::now();
    match client.batch_execute("CREATE INDEX CONCURRENTLY ON items (n)") {
        Ok(()) => Ok(Some(start.elapsed())),
        Err(error) if error.code() == Some(&postgres::error::SqlState::QUERY_CANCELED) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
