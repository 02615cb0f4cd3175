//! Many locks held at once: connections, memory, how long it takes to take and to free them.

use std::alloc::System;
use std::future::Future;
use std::time::{Duration, Instant};

use pglock_tests::Server;
use stats_alloc::Region;
use tokio::runtime::Runtime;

use super::Effort;
use crate::ALLOCATOR;
use crate::plot::{Axis, Chart, Line, Scale};
use crate::report::{Goal, Section, Table, Target};
use crate::server::{self, Observer, memory, within};
use crate::sides::{Failure, Pglock, Sqlx, background_runtime};
use crate::stats::{bytes, time, whole};

/// sqlx needs a connection for each, so it stops here.
const MOST_OF_SQLX: u32 = 100;
const BOUND: Duration = Duration::from_secs(30);

/// What it took to hold many locks.
struct Held {
    wanted: i64,
    got: usize,
    error: Option<String>,
    connections: usize,
    taken: Duration,
    freed: Option<Duration>,
    client_memory: Option<f64>,
    server_memory: Option<f64>,
}

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let counts: &[i64] = effort.pick(&[1, 10, 100], &[1, 10, 100, 1_000, 10_000]);
    let runtime = background_runtime();
    let mut pglock = Vec::new();
    let mut sqlx = Vec::new();
    for &count in counts {
        pglock.push(hold_with_pglock(
            &runtime,
            server.create_database().url(),
            count,
        )?);
        if count <= i64::from(MOST_OF_SQLX) {
            sqlx.push(hold_with_sqlx(
                &runtime,
                server.create_database().url(),
                count,
            )?);
        }
    }
    let mut table = Table::new(&[
        "",
        "locks",
        "held",
        "connections",
        "until held",
        "until free",
        "memory of the client a lock",
        "memory of the server a lock",
    ]);
    for (name, all) in [("sqlx", &sqlx), ("pglock", &pglock)] {
        table.rows.extend(all.iter().map(|held| held.row(name)));
    }
    let mut text = vec![
        "All are asked for at once by tasks of one process and then held. \"Until free\" is from the \
         drop of all guards until `pg_locks` shows none of them, seen by another session. The client's \
         memory is what is still allocated, the server's is the sum over its backends (Pss), both with \
         the connections."
            .to_owned(),
    ];
    for held in &pglock {
        if let Some(error) = &held.error {
            text.push(format!(
                "Of {} locks, the first that failed: {error}.",
                whole(held.wanted)
            ));
        }
    }
    let bare = hold_on_one_connection(&server, counts[counts.len() - 1])?;
    table.rows.push(bare.row("`postgres::Client`, one"));
    text.push(
        "The last row is the least that a server needs: one connection, one statement for all. Pglock's tables grow by \
         doubling, so a lock costs the client least just before they do."
            .to_owned(),
    );
    let largest = pglock.last().filter(|held| held.wanted == 10_000);
    Ok(Section {
        title: "Locks held at once",
        text,
        table,
        targets: largest.map_or(Vec::new(), targets),
        charts: vec![chart(&pglock, &sqlx)],
    })
}

fn hold_with_pglock(runtime: &Runtime, url: &str, count: i64) -> Result<Held, Failure> {
    let mut observer = Observer::connect(url);
    let pglock = Pglock::new(url)?;
    // Its thread and whatever else is there once.
    pglock.blocking_pair(0)?;
    let region = Region::new(ALLOCATOR);
    let start = Instant::now();
    let tasks = (1..=count).map(|key| pglock.lock(key).acquire_async());
    let results = all(runtime, tasks)?;
    let taken = start.elapsed();
    let mut error = None;
    let mut guards = Vec::new();
    for result in results {
        match result {
            Ok(guard) => guards.push(guard),
            Err(failure) => {
                error.get_or_insert(failure.to_string());
            }
        }
    }
    let held = Held::measured(&mut observer, (count, guards.len()), taken, &region);
    let start = Instant::now();
    drop(guards);
    Ok(Held {
        error,
        ..held.until_free(&mut observer, start)
    })
}

/// What nobody can do with less: all of them in one statement.
fn hold_on_one_connection(server: &Server, count: i64) -> Result<Held, Failure> {
    let database = server.create_database();
    let mut observer = Observer::connect(database.url());
    let region = Region::new(ALLOCATOR);
    let start = Instant::now();
    let mut client = postgres::Client::connect(database.url(), postgres::NoTls)?;
    client.execute(
        "SELECT count(pg_advisory_lock(key)) FROM generate_series(1::bigint, $1) key",
        &[&count],
    )?;
    let taken = start.elapsed();
    let got = usize::try_from(count)?;
    let held = Held::measured(&mut observer, (count, got), taken, &region);
    let start = Instant::now();
    client.execute("SELECT pg_advisory_unlock_all()", &[])?;
    Ok(held.until_free(&mut observer, start))
}

fn hold_with_sqlx(runtime: &Runtime, url: &str, count: i64) -> Result<Held, Failure> {
    let mut observer = Observer::connect(url);
    let region = Region::new(ALLOCATOR);
    let start = Instant::now();
    let sqlx = runtime.block_on(Sqlx::connect(url, u32::try_from(count)?, true))?;
    let tasks = (1..=count).map(|key| {
        let sqlx = sqlx.clone();
        async move { sqlx.acquire(key).await }
    });
    let guards = all(runtime, tasks)?
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let held = Held::measured(
        &mut observer,
        (count, guards.len()),
        start.elapsed(),
        &region,
    );
    let start = Instant::now();
    // A dropped guard is released by a task.
    let context = runtime.enter();
    drop(guards);
    drop(context);
    let held = held.until_free(&mut observer, start);
    runtime.block_on(sqlx.close());
    Ok(held)
}

/// Lets tasks do all of that at once.
fn all<F>(runtime: &Runtime, futures: impl Iterator<Item = F>) -> Result<Vec<F::Output>, Failure>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: Vec<_> = futures.map(|future| runtime.spawn(future)).collect();
    let results = tasks.into_iter().map(|task| Ok(runtime.block_on(task)?));
    results.collect()
}

impl Held {
    fn measured(
        observer: &mut Observer,
        (wanted, got): (i64, usize),
        taken: Duration,
        region: &Region<'_, System>,
    ) -> Held {
        let change = region.change();
        let allocated = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
        let backends = observer.backends();
        let a_lock = |bytes: f64| bytes / got.max(1) as f64;
        Held {
            wanted,
            got,
            error: None,
            connections: backends.len(),
            taken,
            freed: None,
            // A few are lost in what the first pair has left.
            client_memory: (got >= 10).then(|| a_lock(allocated)),
            server_memory: memory(&backends).map(a_lock),
        }
    }

    fn until_free(self, observer: &mut Observer, dropped: Instant) -> Held {
        let freed = within(BOUND, || observer.held() == 0).map(|_| dropped.elapsed());
        Held { freed, ..self }
    }

    fn row(&self, name: &str) -> Vec<String> {
        vec![
            name.to_owned(),
            whole(self.wanted),
            whole(self.got),
            whole(self.connections),
            time(self.taken.as_secs_f64() * 1e6),
            self.freed.map_or("not within 30 s".to_owned(), |freed| {
                time(freed.as_secs_f64() * 1e6)
            }),
            self.client_memory.map_or("-".to_owned(), bytes),
            self.server_memory.map_or("-".to_owned(), bytes),
        ]
    }
}

fn targets(held: &Held) -> Vec<Target> {
    let is_whole = held.error.is_none();
    let target = |what, goal, measured: Option<f64>, unit| Target {
        what,
        goal: Goal::AtMost(goal),
        measured: measured.filter(|_| is_whole),
        unit,
    };
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    vec![
        target(
            "10,000 locks: time to take them",
            100.0,
            Some(millis(held.taken)),
            "ms",
        ),
        target(
            "10,000 locks: connections",
            2.0,
            Some(held.connections as f64),
            "",
        ),
        target(
            "10,000 locks: time until all are free",
            100.0,
            held.freed.map(millis),
            "ms",
        ),
    ]
}

fn chart(pglock: &[Held], sqlx: &[Held]) -> Chart {
    let line = |name: &str, all: &[Held]| Line {
        name: name.to_owned(),
        points: all
            .iter()
            .map(|held| (held.got.max(1) as f64, held.connections.max(1) as f64))
            .collect(),
    };
    Chart {
        name: "connections",
        title: "Connections over locks held",
        x: Axis {
            label: "locks held",
            scale: Scale::Log,
        },
        y: Axis {
            label: "connections",
            scale: Scale::Log,
        },
        lines: vec![line("pglock", pglock), line("sqlx", sqlx)],
    }
}
