//! Why the command could not do what it was asked for: one line on stderr, and an exit code.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::wording;

/// Trouble, for everything but `run`.
const TROUBLE: u8 = 2;

/// `run` itself failed: `timeout(1)` and `env(1)` say it so, and leave the smaller codes to the command.
pub(crate) const OF_RUN: u8 = 125;

#[derive(Debug)]
pub(crate) struct Failure {
    why: Why,
    code: u8,
}

#[derive(Debug)]
enum Why {
    Said(String),
    Usage(Box<clap::Error>),
    /// Who reads our output has gone away, which is not a failure.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self {
            why: Why::Said(text.to_string()),
            code: TROUBLE,
        }
    }

    /// What clap says: an error of usage, help, or the version.
    pub(crate) fn usage(error: clap::Error, of_run: bool) -> Self {
        let code = match (error.use_stderr(), of_run) {
            (false, _) => 0,
            (true, false) => TROUBLE,
            (true, true) => OF_RUN,
        };
        Self {
            why: Why::Usage(Box::new(error)),
            code,
        }
    }

    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn of_run(self) -> Self {
        match self.code {
            TROUBLE => self.with_code(OF_RUN),
            _ => self,
        }
    }

    /// What it says, for who shows it and goes on.
    #[cfg(feature = "watch")]
    pub(crate) fn text(&self) -> String {
        match &self.why {
            Why::Said(text) => text.clone(),
            Why::Usage(error) => error.to_string(),
            Why::ClosedPipe => String::new(),
        }
    }

    pub(crate) fn tell(self) -> ExitCode {
        match &self.why {
            Why::Said(text) => anstream::eprintln!("pglock: {text}"),
            // Where it can't be printed, nothing can.
            Why::Usage(error) => drop(error.print()),
            Why::ClosedPipe => return ExitCode::SUCCESS,
        }
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Said(text) => f.write_str(text),
            Why::Usage(error) => error.fmt(f),
            Why::ClosedPipe => f.write_str("the output is closed"),
        }
    }
}

impl From<pglock::Error> for Failure {
    fn from(error: pglock::Error) -> Self {
        Self::new(wording::told(&error))
    }
}

impl From<io::Error> for Failure {
    /// Of our own output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                why: Why::ClosedPipe,
                code: 0,
            };
        }
        Self::new(format!("cannot write the output: {error}"))
    }
}
