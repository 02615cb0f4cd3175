//! What an annotated function costs to compile, above a plain one.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Effort;
use crate::report::{Goal, Section, Table, Target};
use crate::sides::Failure;
use crate::stats::Samples;

/// How many functions a crate has: enough that one of them is more than noise.
const FUNCTIONS: usize = 200;
const ROUNDS: usize = 5;

/// Each with its signature and what it is called on.
const KINDS: [(&str, &str, &str); 4] = [
    ("plain", "", "fn"),
    ("blocking", "#[pglock::advisory]", "fn"),
    ("plain async", "", "async fn"),
    ("async", "#[pglock::advisory]", "async fn"),
];

pub(crate) fn run(effort: Effort) -> Result<Section, Failure> {
    let title = "What an annotated function costs to compile";
    if effort == Effort::Quick {
        // It compiles all that pglock depends on.
        return Ok(Section {
            title,
            text: vec!["Not in a short run.".to_owned()],
            table: Table::new(&["command"]),
            ..Section::default()
        });
    }
    let folder = PathBuf::from("target/benches/compile-cost");
    let mut millis = Vec::new();
    for (command, what) in [("check", "`cargo check`"), ("build", "`cargo build`")] {
        let mut samples: [Samples; KINDS.len()] = Default::default();
        // The first round compiles the dependencies too.
        for round in 0..=ROUNDS {
            for (nth, (_, attribute, function)) in KINDS.iter().enumerate() {
                write_crate(&folder, attribute, function, round)?;
                let start = Instant::now();
                cargo(&folder, command)?;
                if round > 0 {
                    samples[nth].push(start.elapsed());
                }
            }
        }
        let [plain, blocking, plain_async, asynchronous] =
            samples.map(|samples| samples.median() / 1e3 / FUNCTIONS as f64);
        millis.push((what, blocking - plain, asynchronous - plain_async));
    }
    let mut table = Table::new(&[
        "command",
        "blocking, above a plain one",
        "async, above a plain one",
    ]);
    for (what, blocking, asynchronous) in &millis {
        let cells = [blocking, asynchronous].map(|millis| format!("{millis:.2} ms"));
        let mut row = vec![(*what).to_owned()];
        row.extend(cells);
        table.rows.push(row);
    }
    let target = |what, goal, measured| Target {
        what,
        goal: Goal::AtMost(goal),
        measured: Some(measured),
        unit: "ms",
    };
    Ok(Section {
        title,
        text: vec![format!(
            "A crate of {FUNCTIONS} functions with a default ID, called by nobody but each other, that is compiled again in the \
             development profile; the median of {ROUNDS}."
        )],
        table,
        targets: vec![
            target("`cargo check`, a blocking function", 2.0, millis[0].1),
            target("`cargo check`, an async function", 5.0, millis[0].2),
            target("`cargo build`, a blocking function", 5.0, millis[1].1),
            target("`cargo build`, an async function", 12.0, millis[1].2),
        ],
        ..Section::default()
    })
}

fn write_crate(
    folder: &Path,
    attribute: &str,
    function: &str,
    round: usize,
) -> Result<(), Failure> {
    let pglock = std::env::current_dir()?.join("pglock");
    std::fs::create_dir_all(folder.join("src"))?;
    let manifest = format!(
        "[package]\nname = \"compile-cost\"\nedition = \"2024\"\n[dependencies]\npglock = {{ path = \"{}\" }}\n[workspace]\n",
        pglock.display()
    );
    std::fs::write(folder.join("Cargo.toml"), manifest)?;
    std::fs::copy("Cargo.lock", folder.join("Cargo.lock"))?;
    let mut code = format!("//! Round {round}.\n");
    for number in 0..FUNCTIONS {
        let _ = writeln!(
            code,
            "{attribute}\npub {function} f{number}(n: u64) -> Result<u64, pglock::Error> {{\n    Ok(n.wrapping_mul({number}) + {round})\n}}"
        );
    }
    std::fs::write(folder.join("src/lib.rs"), code)?;
    Ok(())
}

fn cargo(folder: &Path, command: &str) -> Result<(), Failure> {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "-q", "--offline"]).current_dir(folder);
    cargo.env_remove("CARGO_TARGET_DIR").stderr(Stdio::null());
    if cargo.status()?.success() {
        return Ok(());
    }
    Err(format!("cargo {command} failed in {}", folder.display()).into())
}
