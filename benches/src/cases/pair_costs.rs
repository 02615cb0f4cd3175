//! What a pair costs: round trips, connections, allocations.

use pglock_tests::{Proxy, Server, TestDb};
use stats_alloc::Region;

use super::Effort;
use crate::report::{Section, Table};
use crate::sides::{Callers, Failure, Pair, Pglock, Sqlx, runtime};
use crate::stats::{bytes, whole};
use crate::{ALLOCATOR, server};

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let database = server.create_database();
    let pairs = effort.pick(50, 1_000);
    let mut table = Table::new(&[
        "",
        "round trips per 1,000 pairs",
        "connections per 1,000 pairs",
        "allocations a pair",
        "bytes a pair",
    ]);
    let direct = allocations(&database, pairs)?;
    for (counted, allocated) in round_trips(&server, &database, pairs)?
        .into_iter()
        .zip(direct)
    {
        table
            .rows
            .push(counted.into_iter().chain(allocated).collect());
    }
    for row in many_tasks(&server, &database, effort)? {
        table.rows.push(row);
    }
    Ok(Section {
        title: "What a pair costs",
        text: vec![
            "Counted by a proxy: how often the server said that it is ready for the next query, and how \
             often somebody connected. Both after the first pairs, so that sessions which are kept are \
             there. Allocations are those of the whole process, where the side runs in it; those of many \
             tasks include the proxy's."
                .to_owned(),
            "Of the allocations of pglock's `acquire` 20 are those of the driver below it. Each of its two statements needs \
             four more, since pglock's thread can take over what takes longer than the caller waits. The others are the \
             lock, its record, its place in the ledger, the guard, two wakers, and the lock's name for metrics, which are \
             on here."
                .to_owned(),
        ],
        table,
        ..Section::default()
    })
}

/// Name, round trips and connections of each side.
fn round_trips(
    server: &Server,
    database: &TestDb,
    pairs: usize,
) -> Result<Vec<Vec<String>>, Failure> {
    let proxy = Proxy::start(server);
    let mut callers = Callers::of(&proxy.url(database.name()))?;
    let mut rows = Vec::new();
    for caller in &mut callers.present {
        caller.pairs(WARM_UP)?;
        let before = Counts::of(&proxy);
        caller.pairs(pairs)?;
        let [round_trips, connections] = before.until_now(&proxy, pairs);
        rows.push(vec![caller.name().to_owned(), round_trips, connections]);
    }
    Ok(rows)
}

/// Allocations and bytes of each side.
fn allocations(database: &TestDb, pairs: usize) -> Result<Vec<[String; 2]>, Failure> {
    let mut callers = Callers::of(database.url())?;
    let mut rows = Vec::new();
    for caller in &mut callers.present {
        caller.pairs(WARM_UP)?;
        let region = Region::new(ALLOCATOR);
        // The samples are one growing vector, a dozen allocations for all pairs.
        caller.pairs(pairs)?;
        let change = region.change();
        rows.push(if caller.is_in_process() {
            [
                format!("{:.1}", change.allocations as f64 / pairs as f64),
                bytes(change.bytes_allocated as f64 / pairs as f64),
            ]
        } else {
            ["-".to_owned(), "-".to_owned()]
        });
    }
    Ok(rows)
}

/// The same for many tasks at once, each on a key of its own.
fn many_tasks(
    server: &Server,
    database: &TestDb,
    effort: Effort,
) -> Result<Vec<Vec<String>>, Failure> {
    let proxy = Proxy::start(server);
    let url = proxy.url(database.name());
    let pairs = effort.pick(5, 50);
    runtime().block_on(async {
        let sqlx = Sqlx::connect(&url, 16, true).await?;
        let pglock = Pglock::new(&url)?;
        Ok(vec![
            tasks("sqlx, pool of 16, 64 tasks", &sqlx, &proxy, pairs).await?,
            tasks("pglock `acquire_async`, 64 tasks", &pglock, &proxy, pairs).await?,
        ])
    })
}

async fn tasks<P: Pair>(
    name: &str,
    side: &P,
    proxy: &Proxy,
    pairs: usize,
) -> Result<Vec<String>, Failure> {
    const TASKS: i64 = 64;
    let mut row = Vec::new();
    for counted in [false, true] {
        let before = Counts::of(proxy);
        let region = Region::new(ALLOCATOR);
        let tasks: Vec<_> = (1..=TASKS)
            .map(|key| {
                let side = side.clone();
                tokio::spawn(async move {
                    for _ in 0..pairs {
                        side.pair(key).await?;
                    }
                    Ok::<_, Failure>(())
                })
            })
            .collect();
        for task in tasks {
            task.await??;
        }
        let all = TASKS as usize * pairs;
        let change = region.change();
        if counted {
            row.push(name.to_owned());
            row.extend(before.until_now(proxy, all));
            row.push(format!("{:.1}", change.allocations as f64 / all as f64));
            row.push(bytes(change.bytes_allocated as f64 / all as f64));
        }
    }
    Ok(row)
}

/// Pairs before it is counted.
const WARM_UP: usize = 20;

/// What a proxy has counted so far.
struct Counts {
    round_trips: usize,
    connections: usize,
}

impl Counts {
    fn of(proxy: &Proxy) -> Counts {
        Counts {
            round_trips: proxy.round_trips(),
            connections: proxy.connections(),
        }
    }

    /// Round trips and connections since then, per 1,000 pairs.
    fn until_now(&self, proxy: &Proxy, pairs: usize) -> [String; 2] {
        let now = Counts::of(proxy);
        [
            now.round_trips - self.round_trips,
            now.connections - self.connections,
        ]
        .map(|count| whole(count * 1_000 / pairs))
    }
}
