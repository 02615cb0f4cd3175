//! How many pairs a second many callers do, each on a lock of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Effort;
use crate::plot::{Axis, Chart, Line, Scale};
use crate::report::{Goal, Section, Table, Target};
use crate::server::{self, Peak};
use crate::sides::{Bare, Failure, Pglock, Sqlx, runtime};
use crate::stats::{times, whole};
use crate::turns::{self, Turn};

const SQLX: &str = "sqlx, tasks";
const PGLOCK_TASKS: &str = "pglock, tasks";
const PGLOCK_THREADS: &str = "pglock, threads";
const BARE: &str = "`postgres::Client`, a connection a thread";
/// More threads than that are not measured.
const MAX_THREADS: usize = 64;

/// What was done by a side, by how many callers.
type Turns = BTreeMap<(&'static str, usize), Vec<Turn>>;

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let database = server.create_database();
    let url = database.url();
    // One of its own, where all connections are pglock's.
    let pglocks_database = server.create_database();
    let runtime = runtime();
    let sqlx = runtime.block_on(Sqlx::connect(url, 16, true))?;
    let pglock = Pglock::new(pglocks_database.url())?;
    let time = Duration::from_millis(effort.pick(100, 500));
    let counts: &[usize] = effort.pick(&[8, 64], &[1, 4, 16, 64, 256, 1_024]);

    let mut turns = Turns::new();
    let mut connections = Vec::new();
    for &callers in counts {
        let tasks = i64::try_from(callers)?;
        let mut bare = Vec::new();
        let mut pglocks = vec![pglock.clone(); callers.min(MAX_THREADS)];
        for round in 0..=effort.pick(1, 5) {
            let mut turn = |side, turn: Turn| {
                // The first one opens connections.
                if round > 0 {
                    turns.entry((side, callers)).or_default().push(turn);
                }
            };
            turn(SQLX, runtime.block_on(turns::tasks(&sqlx, tasks, time)));
            let peak = (round == 0).then(|| Peak::watch(pglocks_database.url()));
            turn(
                PGLOCK_TASKS,
                runtime.block_on(turns::tasks(&pglock, tasks, time)),
            );
            connections.extend(peak.map(Peak::end));
            if callers <= MAX_THREADS {
                turn(
                    PGLOCK_THREADS,
                    turns::threads(&mut pglocks, time, |pglock, key| pglock.blocking_pair(key)),
                );
                while bare.len() < callers {
                    bare.push(Bare::connect(url)?);
                }
                turn(BARE, turns::threads(&mut bare, time, Bare::pair));
            }
        }
    }
    Ok(section(counts, &turns, &connections))
}

fn section(counts: &[usize], turns: &Turns, connections: &[usize]) -> Section {
    let rate = |side, callers| Some(median_rate(turns.get(&(side, callers))?));
    let ratio = |side, sqlx_tasks, callers| Some(rate(side, callers)? / rate(SQLX, sqlx_tasks)?);
    let mut table = Table::new(&[
        "callers",
        SQLX,
        PGLOCK_TASKS,
        PGLOCK_THREADS,
        BARE,
        "pglock's tasks / sqlx's",
        "pglock's threads / sqlx's tasks",
        "connections of pglock's tasks",
    ]);
    for (&callers, &connections) in counts.iter().zip(connections) {
        let cell = |side| match turns.get(&(side, callers)) {
            Some(turns) => format!("{}{}", whole(median_rate(turns) as u64), failures(turns)),
            None => String::new(),
        };
        let compared =
            |side| ratio(side, callers, callers).map_or(String::new(), |ratio| times(ratio, 1.0));
        let mut row = vec![whole(callers)];
        row.extend([SQLX, PGLOCK_TASKS, PGLOCK_THREADS, BARE].map(cell));
        row.extend([PGLOCK_TASKS, PGLOCK_THREADS].map(compared));
        row.push(whole(connections));
        table.rows.push(row);
    }
    let mut text = vec![
        "Pairs a second, the median of the turns. sqlx has a pool of 16 connections with its defaults, \
         which test a connection before it is lent."
            .to_owned(),
    ];
    for ((side, callers), turns) in turns {
        if let Some(error) = turns.iter().find_map(|turn| turn.first_error.as_ref()) {
            text.push(format!(
                "{side}, {} callers, the first that failed: {error}.",
                whole(*callers)
            ));
        }
    }
    let target = |what, side, callers, goal| Target {
        what,
        goal: Goal::AtLeast(goal),
        measured: ratio(side, callers, callers),
        unit: "x",
    };
    let mut targets = vec![
        target(
            "64 tasks on locks of their own, pairs a second / sqlx",
            PGLOCK_TASKS,
            64,
            8.0,
        ),
        target("1,024 tasks, the same", PGLOCK_TASKS, 1_024, 12.0),
        target("64 threads / 64 tasks on sqlx", PGLOCK_THREADS, 64, 3.0),
    ];
    targets.retain(|target| target.measured.is_some());
    Section {
        title: "Many callers, each on a lock of its own",
        text,
        table,
        targets,
        charts: vec![chart(counts, &rate)],
    }
}

fn median_rate(turns: &[Turn]) -> f64 {
    let mut rates: Vec<f64> = turns.iter().map(Turn::rate).collect();
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn failures(turns: &[Turn]) -> String {
    match turns.iter().map(|turn| turn.errors).sum::<usize>() {
        0 => String::new(),
        errors => format!(" ({} failed)", whole(errors)),
    }
}

fn chart(counts: &[usize], rate: &dyn Fn(&'static str, usize) -> Option<f64>) -> Chart {
    let line = |side: &'static str| Line {
        name: side.replace('`', ""),
        points: counts
            .iter()
            .filter_map(|&callers| Some((callers as f64, rate(side, callers)?)))
            .collect(),
    };
    Chart {
        name: "throughput",
        title: "Many callers, each on a lock of its own",
        x: Axis {
            label: "callers",
            scale: Scale::Log,
        },
        y: Axis {
            label: "pairs a second",
            scale: Scale::Log,
        },
        lines: [PGLOCK_TASKS, PGLOCK_THREADS, SQLX, BARE]
            .into_iter()
            .map(line)
            .collect(),
    }
}
