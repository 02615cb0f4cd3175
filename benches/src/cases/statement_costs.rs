//! What a statement costs on a session that holds many locks: the server walks all of them.

use std::time::Instant;

use super::Effort;
use crate::plot::{Axis, Chart, Line, Scale};
use crate::report::{Section, Table};
use crate::server;
use crate::sides::{Bare, Failure, Pglock, background_runtime};
use crate::stats::{Samples, time, whole};

/// Keys below are for the pairs that are timed.
const FIRST_HELD: i64 = 1_000_000;
/// Pairs in one turn.
const TURN: i64 = 25;

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let counts: &[i64] = effort.pick(&[0, 100], &[0, 1_000, 2_000, 5_000, 10_000]);
    let rounds = effort.pick(1, 20);
    let mut table = Table::new(&[
        "locks held",
        "bare, one session: `SELECT 1`",
        "bare, one session: a pair",
        "held by pglock",
        "pglock: a pair",
    ]);
    let mut lines = ["bare: SELECT 1", "bare: a pair", "pglock: a pair"].map(|name| Line {
        name: name.to_owned(),
        points: Vec::new(),
    });
    for &count in counts {
        let database = server.create_database();
        let mut bare = Bare::connect(database.url())?;
        bare.client.execute(
            "SELECT count(pg_advisory_lock($1 + n)) FROM generate_series(1, $2::bigint) n",
            &[&FIRST_HELD, &count],
        )?;
        let select = bare.client.prepare("SELECT 1")?;
        let pglock = Pglock::new(database.url())?;
        let guards = background_runtime().block_on(async {
            let keys = (1..=count).map(|key| 2 * FIRST_HELD + key);
            let asked: Vec<_> = keys
                .map(|key| tokio::spawn(pglock.lock(key).acquire_async()))
                .collect();
            let mut guards = Vec::new();
            for asked in asked {
                guards.extend(asked.await.ok().and_then(Result::ok));
            }
            guards
        });
        let mut samples = <[Samples; 3]>::default();
        for _ in 0..rounds {
            for key in 0..TURN {
                let start = Instant::now();
                bare.client.query_one(&select, &[])?;
                samples[0].push(start.elapsed());
                let start = Instant::now();
                bare.pair(key)?;
                samples[1].push(start.elapsed());
            }
            for key in 0..TURN {
                let start = Instant::now();
                // Where the locks that are held have taken all connections, there is no pair to time.
                if pglock.blocking_pair(FIRST_HELD / 2 + key).is_err() {
                    break;
                }
                samples[2].push(start.elapsed());
            }
        }
        let medians = samples.map(|samples| Some(samples.median()).filter(|_| samples.len() > 0));
        let mut cells = medians.map(|median| median.map_or("failed".to_owned(), time));
        let pglocks = std::mem::take(&mut cells[2]);
        let mut row = vec![whole(count)];
        row.extend(cells.into_iter().take(2));
        row.extend([whole(guards.len()), pglocks]);
        table.rows.push(row);
        let held = [count as f64, count as f64, guards.len() as f64];
        for ((line, median), held) in lines.iter_mut().zip(medians).zip(held) {
            line.points.extend(median.map(|median| (held, median)));
        }
    }
    Ok(Section {
        title: "What a statement costs, over the locks held",
        text: vec![
            "At the end of each transaction the server walks all locks of its session, so a session with \
             many of them is slow. The median, of a driver that keeps all on one session and of pglock \
             while it holds as many."
                .to_owned(),
        ],
        table,
        charts: vec![Chart {
            name: "statement-cost",
            title: "What a statement costs, over the locks held",
            x: Axis {
                label: "locks held",
                scale: Scale::Linear,
            },
            y: Axis {
                label: "microseconds",
                scale: Scale::Linear,
            },
            lines: lines.into(),
        }],
        ..Section::default()
    })
}
