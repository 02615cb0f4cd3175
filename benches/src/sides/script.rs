//! Libraries of other languages: a process that does as many pairs as each line asks for, and answers with a line of how
//! many microseconds each took.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use postgres::config::Host;

use super::{Failure, OneCaller};
use crate::stats::Samples;

/// The process of a library of another language; ended when dropped.
pub(super) struct Script {
    name: String,
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Script {
    /// Starts it. Its first line is `ready`, with what it runs, or why it can't.
    pub(super) fn start(mut command: Command, remedy: &str) -> Result<Script, String> {
        let program = command.get_program().display().to_string();
        let process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = process.map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut script = Script {
            name: String::new(),
            orders: process.stdin.take().expect("it is piped"),
            answers: BufReader::new(process.stdout.take().expect("it is piped")),
            process,
        };
        let first = script.line().map_err(|error| error.to_string())?;
        match first.strip_prefix("ready ") {
            Some(name) => name.clone_into(&mut script.name),
            None => return Err(format!("{program}: {first} ({remedy})")),
        }
        Ok(script)
    }

    fn line(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.answers.read_line(&mut line)? {
            0 => Err("the process ended".into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

impl OneCaller for Script {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_in_process(&self) -> bool {
        false
    }

    fn pairs(&mut self, count: usize) -> Result<Samples, Failure> {
        writeln!(self.orders, "{count}")?;
        let mut samples = Samples::default();
        for micros in self.line()?.split(' ') {
            samples.push_micros(micros.parse()?);
        }
        Ok(samples)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Tells the process where the database is, in libpq's own environment variables.
pub(super) fn with_database(command: &mut Command, url: &str) {
    let config: postgres::Config = url.parse().expect("our own URL");
    let host = match config.get_hosts().first() {
        Some(Host::Unix(folder)) => folder.display().to_string(),
        Some(Host::Tcp(host)) => host.clone(),
        None => "localhost".to_owned(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    command
        .env("PGHOST", host)
        .env("PGPORT", port.to_string())
        .env("PGUSER", config.get_user().unwrap_or("postgres"))
        .env("PGDATABASE", config.get_dbname().unwrap_or("postgres"));
}
