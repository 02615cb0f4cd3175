//! Helpers of the examples that nobody has to copy: a database to work on, worker processes, output.

mod bank;
mod crew;
mod database;
mod runs;

use std::io::Write as _;
use std::process::ExitCode;

pub use bank::{Load, create_bank};
pub use crew::{Crew, take_orders, worker};
pub use database::{connect, create_database};
pub use pglock_tests::Waiter;
pub use runs::{CREATE_JOB_RUNS, RECORD_RUN, check_runs};

/// The programs on this page of the guide need the crates that the examples have.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/jobs.md")]
mod jobs {}

/// The error of an example.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// Turns the result of an example into its exit code; an error is printed in one line, with its causes.
#[must_use]
pub fn exit_code(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, in one line.
#[must_use]
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors repeat their cause in their own text.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// Runs a step that takes a while: prints its name before, and how long it took after.
///
/// # Errors
///
/// Those of the step.
pub fn step<T>(what: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    print!("{what} ... ");
    // An error here only means that nobody sees the line early.
    let _ = std::io::stdout().flush();
    let start = std::time::Instant::now();
    let result = work();
    match &result {
        Ok(_) => println!("{:.1} s", start.elapsed().as_secs_f64()),
        Err(_) => println!("failed"),
    }
    result
}

/// A number with separators for thousands: `1,000,110`.
#[must_use]
pub fn thousands(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
