//! The options of all commands: the connection and the output.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::failure::Failure;

#[derive(Args, Debug)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Global {
    /// A URL, keywords, or a name in pglock.toml; without it DATABASE_URL, or PGHOST and its like
    #[arg(
        short,
        long,
        global = true,
        value_name = "URL|NAME",
        env = "PGLOCK_DATABASE",
        hide_env_values = true
    )]
    pub(crate) database: Option<String>,
    /// Instead of the nearest pglock.toml, of which `pglock --help` has the keys
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "PGLOCK_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config_file: Option<PathBuf>,
    /// Names of locks: a catalog that `pglock::answer_catalog()` has written; repeatable
    #[arg(
        long = "names",
        global = true,
        value_name = "FILE",
        env = "PGLOCK_NAMES",
        value_delimiter = ':',
        hide_env_values = true
    )]
    pub(crate) catalogs: Vec<PathBuf>,
    /// table, expanded, json or csv; only ls and blocked have all of them
    #[arg(
        long,
        alias = "format",
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub(crate) output: Format,
    /// Short for --output json
    #[arg(long, global = true, conflicts_with = "output")]
    json: bool,
    /// auto, always or never
    #[arg(
        long,
        alias = "colour",
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: clap::ColorChoice,
    /// Refuse to cancel, terminate, free and guard
    #[arg(long, global = true, env = "PGLOCK_READ_ONLY", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    read_only: bool,
}

/// How what was found is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Expanded,
    Json,
    Csv,
}

impl Global {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.output }
    }

    /// Only a listing is one of rows with columns that are chosen.
    pub(crate) fn refuse_rows(&self) -> Result<(), Failure> {
        let what = match self.output {
            Format::Csv => "csv",
            Format::Expanded => "expanded",
            Format::Table | Format::Json => return Ok(()),
        };
        Err(Failure::new(format!(
            "`--output {what}` is for `ls` and `blocked`; use --json, or leave it out"
        )))
    }

    pub(crate) fn apply_color(&self) {
        let choice = match self.color {
            clap::ColorChoice::Auto => return,
            clap::ColorChoice::Always => anstream::ColorChoice::Always,
            clap::ColorChoice::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }

    /// Before anything is asked of a server.
    pub(crate) fn may_act(&self, verb: &str) -> Result<(), Failure> {
        if self.read_only {
            return Err(Failure::new(format!(
                "`{verb}` is refused in read-only mode; leave out --read-only, or unset PGLOCK_READ_ONLY"
            )));
        }
        Ok(())
    }
}
