//! A nightly report that must never run twice at the same time, and three worker processes that call it at once.
//!
//! The report checks the balances of a bank, the tables of `pgbench`, while `pgbench` keeps moving money.
//! Run it with `cargo run -p pglock-examples --example nightly_report`.

use std::process::ExitCode;
use std::time::SystemTime;

use pglock_examples as demo;
use pglock_examples::Error;
use postgres::{Client, IsolationLevel};

/// One worker runs it; the others get an error at once, which names the first.
#[pglock::advisory("nightly-report", timeout = 0)]
fn nightly_report(bank: &mut Client, worker: &str) -> Result<String, Error> {
    reconcile(bank, worker)
}

/// The same lock with a timeout: the workers run it one after the other.
#[pglock::advisory("nightly-report", timeout = "30s")]
fn nightly_report_in_turn(bank: &mut Client, worker: &str) -> Result<String, Error> {
    reconcile(bank, worker)
}

/// The balance of every account, teller and branch must be the sum of what was booked on it.
fn reconcile(bank: &mut Client, worker: &str) -> Result<String, Error> {
    let started: SystemTime = bank.query_one("SELECT clock_timestamp()", &[])?.get(0);
    let (mut checked, mut differ) = (0, 0);
    // One snapshot for all queries, since the balances keep changing.
    let mut books = bank
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()?;
    for branch in books.query("SELECT bid FROM pgbench_branches ORDER BY bid", &[])? {
        pglock::check()?; // is the lock still held? A blocking job has to ask
        let branch: i32 = branch.get(0);
        let row = books.query_one(RECONCILE_BRANCH, &[&branch])?;
        checked += row.get::<_, i64>(0);
        differ += row.get::<_, i64>(1);
    }
    books.commit()?;
    let pid = i32::try_from(std::process::id())?;
    bank.execute(
        demo::RECORD_RUN,
        &[&"nightly-report", &worker, &pid, &started],
    )?;
    let checked = demo::thousands(checked);
    Ok(format!("{checked} balances checked, {differ} differ"))
}

const RECONCILE_BRANCH: &str = "
    WITH books (balance, booked) AS (
        SELECT abalance, coalesce(sum(delta), 0) FROM pgbench_accounts a
        LEFT JOIN pgbench_history USING (aid) WHERE a.bid = $1 GROUP BY a.aid
        UNION ALL
        SELECT tbalance, coalesce(sum(delta), 0) FROM pgbench_tellers t
        LEFT JOIN pgbench_history USING (tid) WHERE t.bid = $1 GROUP BY t.tid
        UNION ALL
        SELECT bbalance, coalesce(sum(delta), 0) FROM pgbench_branches b
        LEFT JOIN pgbench_history USING (bid) WHERE b.bid = $1 GROUP BY b.bid
    )
    SELECT count(*), count(*) FILTER (WHERE balance <> booked) FROM books";

/// One of the three processes: runs the report at each order, and answers with the outcome.
fn worker(name: &str) -> Result<(), Error> {
    // Both this connection and pglock's own session get the worker's name from the URL in DATABASE_URL.
    let mut bank = demo::connect(&std::env::var("DATABASE_URL")?)?;
    demo::take_orders(|order| {
        let report = match order {
            "once" => nightly_report(&mut bank, name),
            _ => nightly_report_in_turn(&mut bank, name),
        };
        match report {
            Ok(report) => Ok(format!("ran: {report}")),
            Err(error) => match error.downcast_ref::<pglock::Error>() {
                Some(busy) if busy.is_busy() => Ok(skipped(busy)),
                _ => Err(error),
            },
        }
    })
}

fn skipped(busy: &pglock::Error) -> String {
    match busy.holder() {
        Some(holder) => format!(
            "skipped: {:?}, pid {}, holds the lock",
            holder.application_name, holder.pid
        ),
        None => "skipped: the lock was busy".to_owned(),
    }
}

fn demo() -> Result<(), Error> {
    let db = demo::create_database()?;
    demo::step("Creating a bank with 1,000,000 accounts", || {
        demo::create_bank(&db, 10)
    })?;
    let mut client = demo::connect(db.url())?;
    client.batch_execute(demo::CREATE_JOB_RUNS)?;
    let mut load = demo::Load::start(&db)?;
    let mut crew = demo::Crew::start(&db, &["worker-1", "worker-2", "worker-3"])?;
    println!("pgbench moves money, and three worker processes are ready.");

    println!("\nRound 1: all three call nightly_report() at once; timeout = 0");
    call(&mut crew, "once", 1)?;
    println!("\nRound 2: all three call nightly_report_in_turn() at once; timeout = \"30s\"");
    call(&mut crew, "in turn", 3)?;

    println!("\nWho ran when:");
    demo::check_runs(db.url())?;
    load.check()?;
    let moved = client.query_one("SELECT count(*) FROM pgbench_history", &[])?;
    let moved = demo::thousands(moved.get(0));
    println!("No two runs overlapped. Meanwhile pgbench moved money {moved} times.");
    Ok(())
}

/// Has all workers call the report at the same moment, and checks how many of them ran it.
fn call(crew: &mut demo::Crew, order: &str, expected: usize) -> Result<(), Error> {
    let mut ran = 0;
    crew.order(order, |worker, answer| {
        println!("  {worker} {answer}");
        ran += usize::from(answer.starts_with("ran"));
    })?;
    if ran != expected {
        return Err(format!("{ran} workers ran it instead of {expected}").into());
    }
    Ok(())
}

fn main() -> ExitCode {
    demo::exit_code(match demo::worker() {
        None => demo(),
        Some(name) => worker(&name),
    })
}
