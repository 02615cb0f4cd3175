//! What it costs to look: a listing of many locks, and the graph of many that wait. The command does nothing else.

use std::time::Instant;

use pglock_tests::{Server, TestDb};
use postgres::NoTls;
use tokio_postgres::Client;

use super::Effort;
use crate::report::{Goal, Section, Table, Target};
use crate::sides::{Failure, background_runtime};
use crate::stats::{Samples, time, whole};

/// Sessions, and the locks of each.
const HOLDERS: (i64, i64) = (200, 50);
const WAITERS: i64 = 1_000;
/// How many rows the command `blocked` asks for, but for the one that says that there are more.
const FIRST: u32 = 1_000;

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = Server::builder()
        .setting("max_connections", "1300")
        .setting("max_locks_per_transaction", "64")
        .start();
    let (holders, locks) = effort.pick((4, 10), HOLDERS);
    let waiters = effort.pick(10, WAITERS);
    let rounds = effort.pick(1, 20);
    let mut table = Table::new(&["what is there", "what is asked", "p10", "median"]);

    let runtime = background_runtime();
    let db = server.create_database();
    let _holders = runtime.block_on(hold(&db, holders, locks))?;
    let mut client = db.connect();
    let held = format!("{} locks of {holders} sessions", whole(holders * locks));
    let (mut listing, mut named) = (Samples::default(), Samples::default());
    let (mut blocked, mut graph) = (Samples::default(), Samples::default());
    for _ in 0..rounds {
        let start = Instant::now();
        let found = pglock::locks().fetch(&mut client)?;
        listing.push(start.elapsed());
        assert!(found.len() >= usize::try_from(holders * locks)?);
        let start = Instant::now();
        pglock::locks()
            .filter("kind=ADVISORY")?
            .fetch(&mut client)?;
        named.push(start.elapsed());
        let start = Instant::now();
        pglock::blocked_locks().fetch(&mut client)?;
        blocked.push(start.elapsed());
        let start = Instant::now();
        pglock::wait_graph().fetch(&mut client)?;
        graph.push(start.elapsed());
    }
    let refresh = graph.median() * 1e-3;
    let (listed, only_named) = (listing.median() * 1e-3, named.median() * 1e-3);
    for (asked, samples) in [
        ("`locks`", listing),
        ("`locks` of one kind", named),
        ("`blocked_locks`", blocked),
        ("`wait_graph`", graph),
    ] {
        table.rows.push(row(&held, asked, &samples));
    }

    let db = server.create_database();
    let _waiters = runtime.block_on(wait(&db, waiters))?;
    db.wait_for_waiters(usize::try_from(waiters)?);
    let mut client = db.connect();
    let (mut graph, mut blocked) = (Samples::default(), Samples::default());
    for _ in 0..rounds.min(5) {
        let start = Instant::now();
        let found = pglock::wait_graph().fetch(&mut client)?;
        graph.push(start.elapsed());
        assert!(found.sessions().len() > usize::try_from(waiters)?);
        let start = Instant::now();
        pglock::blocked_locks().limit(FIRST).fetch(&mut client)?;
        blocked.push(start.elapsed());
    }
    let tree = graph.median() * 1e-3;
    let waiting = format!("{} that wait for one lock", whole(waiters));
    table.rows.push(row(&waiting, "`wait_graph`", &graph));
    // All of them are half a million.
    let asked = format!("the first {} of `blocked_locks`", whole(i64::from(FIRST)));
    table.rows.push(row(&waiting, &asked, &blocked));

    let target = |what, goal, measured| Target {
        what,
        goal: Goal::AtMost(goal),
        measured: Some(measured),
        unit: "ms",
    };
    Ok(Section {
        title: "What it costs to look",
        text: vec![
            "From the question to the last row that is read, which is what `pglock ls`, `tree` and a look of `watch` take. \
             Nobody waits in the first four."
                .to_owned(),
        ],
        table,
        targets: match effort {
            Effort::Quick => Vec::new(),
            Effort::Full => vec![
                target("listing 10,000 locks of 200 sessions", 100.0, listed),
                target("those of one kind", 100.0, only_named),
                target("the graph, with these", 100.0, refresh),
                target("the graph of 1,000 that wait for one lock", 1_000.0, tree),
            ],
        },
        ..Section::default()
    })
}

fn row(there: &str, asked: &str, samples: &Samples) -> Vec<String> {
    let cells = [samples.quantile(0.1), samples.median()].map(time);
    let mut row = vec![there.to_owned(), asked.to_owned()];
    row.extend(cells);
    row
}

async fn connect(db: &TestDb) -> Result<Client, Failure> {
    let (client, connection) = tokio_postgres::connect(db.url(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn hold(db: &TestDb, sessions: i64, locks: i64) -> Result<Vec<Client>, Failure> {
    let mut clients = Vec::new();
    for session in 0..sessions {
        let client = connect(db).await?;
        let first = session * locks;
        let hold = "SELECT count(pg_advisory_lock($1 + n)) FROM generate_series(1, $2::bigint) n";
        client.execute(hold, &[&first, &locks]).await?;
        clients.push(client);
    }
    Ok(clients)
}

/// The first has the lock, all others wait for it.
async fn wait(db: &TestDb, waiters: i64) -> Result<Vec<Client>, Failure> {
    let holder = connect(db).await?;
    holder.execute("SELECT pg_advisory_lock(1)", &[]).await?;
    let mut clients = vec![holder];
    for _ in 0..waiters {
        let client = connect(db).await?;
        // Sent now, and answered never.
        let statement = client.simple_query_raw("SELECT pg_advisory_lock(1)");
        drop(futures_util::FutureExt::now_or_never(statement));
        clients.push(client);
    }
    Ok(clients)
}
