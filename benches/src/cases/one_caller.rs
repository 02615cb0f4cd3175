//! How long a pair takes, where nobody else wants the lock.

use super::Effort;
use crate::plot::{Axis, Chart, Line, Scale};
use crate::report::{Goal, Section, Table, Target};
use crate::sides::{
    ACQUIRE, ACQUIRE_ASYNC, ACQUIRE_TIMEOUT, BARE, BARE_ASYNC, Callers, Failure, RUN, SQLX,
    SQLX_NO_PING, TRY_ACQUIRE,
};
use crate::stats::{Samples, time, times, whole};
use crate::{server, turns};

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let server = server::start();
    let database = server.create_database();
    let mut missing = Vec::new();
    let connect = || {
        let callers = Callers::of(database.url())?;
        missing = callers.missing;
        Ok(callers.present)
    };
    let sides = turns::one_caller(connect, effort.pick(2, 25), effort.pick(10, 200))?;
    let of = |name: &str| {
        let side = sides.iter().find(|side| side.0 == name);
        side.map(|side| &side.1).ok_or("a side is missing")
    };
    let (bare, sqlx) = (of(BARE)?, of(SQLX)?);

    let mut table = Table::new(&[
        "",
        "p10",
        "median",
        "p99",
        "p10 / bare",
        "median / bare",
        "median / sqlx",
    ]);
    for (name, samples) in &sides {
        table.rows.push(vec![
            name.clone(),
            time(samples.p10()),
            time(samples.median()),
            time(samples.quantile(0.99)),
            times(samples.p10(), bare.p10()),
            times(samples.median(), bare.median()),
            times(samples.median(), sqlx.median()),
        ]);
    }
    let target = |what, name, reference: &Samples, goal| {
        Ok::<_, Failure>(Target {
            what,
            goal: Goal::AtMost(goal),
            measured: Some(of(name)?.median() / reference.median()),
            unit: "x",
        })
    };
    let targets = vec![
        target(
            "one blocking caller, time of a pair / bare driver",
            ACQUIRE,
            bare,
            1.15,
        )?,
        target("the same with a timeout", ACQUIRE_TIMEOUT, bare, 1.15)?,
        target(
            "one async caller, time of a pair / sqlx",
            ACQUIRE_ASYNC,
            sqlx,
            0.7,
        )?,
    ];
    let mut text = vec![format!(
        "The time of a pair, each on a lock that is free, {} pairs a side, on new connections for each turn. \
         \"Bare\" is {BARE}: `pg_try_advisory_lock` and `pg_advisory_unlock`.",
        whole(bare.len()),
    )];
    for why in &missing {
        eprintln!("bench: skipped: {why}");
        text.push(format!("Not measured: {why}."));
    }
    Ok(Section {
        title: "One caller",
        text,
        table,
        targets,
        charts: vec![chart(&sides)],
    })
}

fn chart(sides: &[(String, Samples)]) -> Chart {
    // The others are near one of these.
    let left_out = [BARE_ASYNC, SQLX_NO_PING, ACQUIRE_TIMEOUT, TRY_ACQUIRE, RUN];
    let drawn = sides
        .iter()
        .filter(|side| !left_out.contains(&side.0.as_str()));
    let line = |(name, samples): &(String, Samples)| Line {
        // Without the versions of other languages.
        name: name.split(" (").next().unwrap_or(name).replace('`', ""),
        points: (1..100)
            .map(f64::from)
            .map(|percent| (percent, samples.quantile(percent / 100.0)))
            .collect(),
    };
    Chart {
        name: "latency",
        title: "One caller: a pair takes at most",
        x: Axis {
            label: "percent of all pairs",
            scale: Scale::Linear,
        },
        y: Axis {
            label: "microseconds",
            scale: Scale::Log,
        },
        lines: drawn.map(line).collect(),
    }
}
