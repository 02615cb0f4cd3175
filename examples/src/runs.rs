//! The log of a job's runs, `job_runs`, and the check that no two overlapped.

use postgres::Client;

use crate::Error;

/// Creates the table in which a job records its runs.
pub const CREATE_JOB_RUNS: &str = "
    CREATE TABLE job_runs (
        id int GENERATED ALWAYS AS IDENTITY,
        job text NOT NULL,
        worker text NOT NULL,
        pid int NOT NULL,
        started timestamptz NOT NULL,
        finished timestamptz NOT NULL
    )";

/// Records a run, at its end.
pub const RECORD_RUN: &str = "
    INSERT INTO job_runs (job, worker, pid, started, finished)
    VALUES ($1, $2, $3, $4, clock_timestamp())";

/// The width of the chart, in characters.
const WIDTH: i32 = 40;

/// Prints which worker ran when, and checks that no two runs of the same job overlapped in time.
///
/// # Errors
///
/// When two did; also those of the database.
pub fn check_runs(url: &str) -> Result<(), Error> {
    let mut client = crate::connect(url)?;
    print_runs(&mut client)?;
    let overlaps = client.query(
        "SELECT a.job, a.worker, b.worker FROM job_runs a JOIN job_runs b ON a.job = b.job AND a.id < b.id
         WHERE tstzrange(a.started, a.finished, '[]') && tstzrange(b.started, b.finished, '[]')",
        &[],
    )?;
    match overlaps.first() {
        None => Ok(()),
        Some(row) => {
            let (job, one, other): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
            Err(format!("{job} ran twice at the same time, on {one} and on {other}").into())
        }
    }
}

fn print_runs(client: &mut Client) -> Result<(), Error> {
    let rows = client.query(
        "WITH span AS (SELECT min(started) AS start, max(finished) - min(started) AS length FROM job_runs)
         SELECT job, worker, pid,
             round(1000 * extract(epoch FROM started - start))::int8,
             round(1000 * extract(epoch FROM finished - start))::int8,
             floor($1::int4 * extract(epoch FROM started - start) / extract(epoch FROM length))::int8,
             floor($1::int4 * extract(epoch FROM finished - start) / extract(epoch FROM length))::int8
         FROM job_runs, span ORDER BY job, started",
        &[&WIDTH],
    )?;
    println!(
        "  {:<16}{:<10}{:>8}{:>10}{:>10}",
        "job", "worker", "process", "from ms", "to ms"
    );
    for row in &rows {
        let (job, worker): (&str, &str) = (row.get(0), row.get(1));
        let (pid, from, to): (i32, i64, i64) = (row.get(2), row.get(3), row.get(4));
        let (begin, end): (i64, i64) = (row.get(5), row.get(6));
        let bar: String = (0..i64::from(WIDTH))
            .map(|at| {
                if at == begin || (begin..end).contains(&at) {
                    '#'
                } else {
                    ' '
                }
            })
            .collect();
        println!("  {job:<16}{worker:<10}{pid:>8}{from:>10}{to:>10}  |{bar}|");
    }
    Ok(())
}
