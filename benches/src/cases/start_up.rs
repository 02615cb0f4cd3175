//! Many jobs that start at once, each under a lock of its own, on a server with few connections.

use std::time::{Duration, Instant};

use pglock_tests::Server;

use super::Effort;
use crate::report::{Goal, Section, Table, Target};
use crate::server::Peak;
use crate::sides::{Failure, Pglock, background_runtime};
use crate::stats::{Samples, time, whole};

const JOBS: i64 = 500;

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = Server::builder().setting("max_connections", "12").start();
    let database = server.create_database();
    let jobs = effort.pick(50, JOBS);
    let pglock = Pglock::new(database.url())?;
    let peak = Peak::watch(database.url());
    let runtime = background_runtime();
    let start = Instant::now();
    let tasks: Vec<_> = (1..=jobs)
        .map(|key| {
            let lock = pglock.lock(key);
            runtime.spawn(async move {
                let body = async {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    Ok::<_, pglock::Error>(())
                };
                (lock.run_async(body).await, start.elapsed())
            })
        })
        .collect();
    let (mut ran, mut after) = (0_u64, Samples::default());
    let mut error = None;
    for task in tasks {
        let (result, elapsed) = runtime.block_on(task)?;
        after.push(elapsed);
        match result {
            Ok(()) => ran += 1,
            Err(failure) => {
                error.get_or_insert(failure.to_string());
            }
        }
    }
    let mut text = vec![
        "Each job runs for 10 ms in a task, under a lock of its own (`run_async`). The server has \
         `max_connections` 12, one of which looks on."
            .to_owned(),
    ];
    text.extend(error.map(|error| format!("The first error: {error}.")));
    let mut table = Table::new(&["jobs", "ran", "failed", "all done after", "connections"]);
    table.rows.push(vec![
        whole(jobs),
        whole(ran),
        whole(jobs as u64 - ran),
        time(after.quantile(1.0)),
        whole(peak.end()),
    ]);
    let target = Target {
        what: "500 jobs at once, `max_connections` 12: ran",
        goal: Goal::AtLeast(jobs as f64),
        measured: Some(ran as f64),
        unit: "",
    };
    Ok(Section {
        title: "Jobs that start at once on a small server",
        text,
        table,
        targets: if jobs == JOBS {
            vec![target]
        } else {
            Vec::new()
        },
        ..Section::default()
    })
}
