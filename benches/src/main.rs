//! `./dev bench`: pglock against bare drivers and other libraries, in one run, on a Postgres of its own.
//!
//! It writes `docs/benchmarks.md`. With `--quick`, which CI runs, each case is cut short and the report goes to
//! `target/benches`; with `--only WORD` (repeatable) only the cases whose names contain the word are run, and the report is
//! printed.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and times of benchmarks are far from the limits"
)]

use std::alloc::System;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use pglock_tests::child;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use crate::cases::{CASES, Case, Effort};
use crate::report::{Report, Section};

mod cases;
mod machine;
mod plot;
mod report;
mod server;
mod sides;
mod stats;
mod turns;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How long a case may take.
const BOUND: Duration = Duration::from_mins(5);

const USAGE: &str = "./dev bench [--quick] [--only WORD]...";

fn main() -> ExitCode {
    if let Some(role) = child::role() {
        cases::child(&role);
        return ExitCode::SUCCESS;
    }
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let effort = if options.quick {
        Effort::Quick
    } else {
        Effort::Full
    };
    let facts = machine::facts(&server::start().url("postgres"), &options.command());
    let mut failed = false;
    let mut sections = Vec::new();
    for (name, case) in CASES {
        if !options.wants(name) {
            continue;
        }
        let start = Instant::now();
        eprintln!("bench: {name}");
        let section = bounded(*case, effort);
        sections.push(section.unwrap_or_else(|error| {
            failed = true;
            eprintln!("bench: {name} failed: {error}");
            Section {
                title: name,
                text: vec![format!("Failed: {error}.")],
                ..Section::default()
            }
        }));
        eprintln!("bench: {name} took {:.1} s", start.elapsed().as_secs_f64());
    }
    let report = Report { facts, sections };
    if let Err(error) = options.publish(&report) {
        eprintln!("bench: cannot write the report: {error}");
        failed = true;
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// What the case found, or why it found nothing. One that panics or hangs leaves the others their turn.
fn bounded(case: Case, effort: Effort) -> Result<Section, String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more where it came too late.
        let _ = sender.send(case(effort));
    });
    match receiver.recv_timeout(BOUND) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(RecvTimeoutError::Disconnected) => Err("it panicked".to_owned()),
        Err(RecvTimeoutError::Timeout) => Err(format!("not done within {BOUND:?}")),
    }
}

#[derive(Debug, Default)]
struct Options {
    quick: bool,
    only: Vec<String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
        let mut options = Options::default();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--only" => options.only.push(arguments.next()?),
                _ => return None,
            }
        }
        let known = |word: &String| CASES.iter().any(|(name, _)| name.contains(word.as_str()));
        options.only.iter().all(known).then_some(options)
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }

    fn command(&self) -> String {
        let mut command = "./dev bench".to_owned();
        if self.quick {
            command.push_str(" --quick");
        }
        for word in &self.only {
            command.extend([" --only ", word]);
        }
        command
    }

    /// Writes the report where it belongs: into the documentation only when it is whole.
    fn publish(&self, report: &Report) -> std::io::Result<()> {
        if !self.only.is_empty() {
            println!("{report}");
        }
        let is_whole = !self.quick && self.only.is_empty();
        let folder = if is_whole { "docs" } else { "target/benches" };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(folder);
        report.write(&folder)?;
        let written = folder.join("benchmarks.md").canonicalize()?;
        eprintln!("bench: wrote {}", written.display());
        Ok(())
    }
}
