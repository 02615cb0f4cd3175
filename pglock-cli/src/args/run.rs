//! The options of what runs a command: `run` and `guard`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};

use super::time::time;
use crate::failure::Failure;

const EXAMPLES_OF_RUN: &str = "\
Examples:
  pglock run nightly-report -n --skip -- ./report.sh      cron on every host: one of them runs it
  pglock run migrations -w 10m -- alembic upgrade head    every replica: one after the other
  pglock run scheduler -- ./scheduler                     a standby that takes over

Exit codes: the command's own; 74 the lock was lost; 75 it is busy (-E); 124 it took too long
(--at-most); 125 pglock failed; 126, 127 the command can't be run, isn't there; 128+N a signal.";

const EXAMPLES_OF_GUARD: &str = "\
Examples:
  pglock guard --terminate --after 5s -- sqlx migrate run
  pglock guard --escalate --lock-timeout 30s -- alembic upgrade head
  pglock run migrations -w 10m -- pglock guard --terminate -- ./migrate.sh

Exit codes are those of `pglock run`.";

#[derive(Args, Debug)]
#[command(
    override_usage = "pglock run [OPTIONS] <NAME> -- <COMMAND>...",
    after_help = EXAMPLES_OF_RUN
)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag on the command line"
)]
pub(crate) struct RunArgs {
    /// A name, an integer, or a pair such as 1,2
    pub(crate) name: String,
    /// What to run, and its arguments; no shell (-- sh -c '..' for one)
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<OsString>,
    /// Wait so long [default: without end]
    #[arg(short = 'w', long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Try once
    #[arg(short = 'n', long = "try", conflicts_with = "timeout")]
    pub(crate) try_once: bool,
    /// Others may share it
    #[arg(short, long)]
    pub(crate) shared: bool,
    /// Exit code when it is busy
    #[arg(short = 'E', long, value_name = "CODE", default_value_t = 75, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) busy_code: u8,
    /// When it is busy, exit with 0 and say nothing; without -w it tries once
    #[arg(long, conflicts_with = "busy_code")]
    pub(crate) skip: bool,
    /// Keep the lock so long, however soon the command ends
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) at_least: Option<Duration>,
    /// End the command after that; exit code 124
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) at_most: Option<Duration>,
    /// What to do with the command when the lock is lost
    #[arg(long, value_name = "WHAT", default_value = "end")]
    pub(crate) on_lost: OnLost,
    /// Between TERM and KILL, when the command is ended
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(crate) grace: Duration,
    /// How NAME becomes a key
    #[arg(long = "as", value_name = "SCHEME", default_value = "auto")]
    pub(crate) scheme: Scheme,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnLost {
    /// End it: others may run beside it
    End,
    /// Say it, and let it go on
    Warn,
}

/// How a word on the command line becomes the ID of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scheme {
    /// An integer or a pair is a key, the word of a known migrator its key, anything else a name
    Auto,
    /// A name, whatever it looks like
    Name,
    /// An integer or a pair
    Key,
    /// As SQL takes it: pg_advisory_lock(hashtext('NAME'))
    Hashtext,
    /// pg_advisory_lock(hashtextextended('NAME', 0))
    Hashtextextended,
    /// As sqlx's PgAdvisoryLock::new("NAME")
    Sqlx,
    /// The first 16 digits of its MD5, as GoodJob
    Md5,
    /// As the Ruby gem with_advisory_lock
    WithAdvisoryLock,
}

/// Refuses an option in the place of the command, which would be run under its name.
pub(crate) fn refuse_option(command: &[OsString]) -> Result<(), Failure> {
    let first = command.first().and_then(|first| first.to_str());
    match first.filter(|first| first.starts_with('-')) {
        None => Ok(()),
        Some(option) => Err(Failure::new(format!(
            "`{option}` stands where the command begins; write options before the name of the lock or the `--`, and the command after `--`"
        ))),
    }
}

impl RunArgs {
    pub(crate) fn tries_once(&self) -> bool {
        // Who skips does not want to wait without end.
        self.try_once || self.skip && self.timeout.is_none()
    }

    /// Refuses `run -- COMMAND ..`, where the command's first word was taken for the name.
    pub(crate) fn refuse_no_name(&self) -> Result<(), Failure> {
        let after = std::env::args_os()
            .skip_while(|argument| argument != "--")
            .skip(1);
        if after.count() == self.command.len() + 1 {
            return Err(Failure::new(
                "the name of the lock is missing; write it before the `--`",
            ));
        }
        Ok(())
    }
}

#[derive(Args, Debug)]
pub(crate) struct ExecArgs {
    /// The process that it is to end with
    pub(crate) parent: i32,
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args, Debug)]
#[command(
    override_usage = "pglock guard [OPTIONS] <--terminate|--cancel|--escalate> -- <COMMAND>...",
    after_help = EXAMPLES_OF_GUARD
)]
#[command(group = ArgGroup::new("how").required(true).args(["terminate", "cancel", "escalate"]))]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag on the command line"
)]
pub(crate) struct GuardArgs {
    /// What to run, and its arguments; no shell (-- sh -c '..' for one)
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(crate) command: Vec<OsString>,
    /// End the sessions that block it
    #[arg(long)]
    terminate: bool,
    /// Cancel their statements
    #[arg(long)]
    cancel: bool,
    /// Cancel, and end those that still block it after --grace
    #[arg(long)]
    escalate: bool,
    /// How long the command has to have waited
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(crate) after: Duration,
    /// How often to look
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = time)]
    pub(crate) interval: Duration,
    /// Until what was hit is hit again
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pub(crate) grace: Duration,
    /// lock_timeout for the sessions of the command, by PGOPTIONS
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) lock_timeout: Option<Duration>,
    /// The application's name of the command's sessions, where it doesn't take it from PGAPPNAME
    #[arg(long, value_name = "NAME")]
    pub(crate) app: Option<String>,
    /// Only blocking sessions that this fits, as blocking_activity__user=etl; repeatable
    #[arg(short, long, value_name = "FIELD[__LOOKUP]=VALUE")]
    pub(crate) filter: Vec<String>,
    /// Not those; repeatable
    #[arg(short = 'x', long, value_name = "FIELD[__LOOKUP]=VALUE")]
    pub(crate) exclude: Vec<String>,
    /// Says who would be hit
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Say nothing but errors
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// What is done to blocking sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Terminate,
    Cancel,
    Escalate,
}

impl GuardArgs {
    pub(crate) fn how(&self) -> How {
        if self.cancel {
            How::Cancel
        } else if self.escalate {
            How::Escalate
        } else {
            How::Terminate
        }
    }
}
