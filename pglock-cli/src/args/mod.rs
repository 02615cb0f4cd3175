//! What can be written on the command line.
#![allow(
    clippy::doc_markdown,
    reason = "these are the texts of `--help`, where backticks are nothing but backticks"
)]

#[cfg(test)]
mod exercised;
mod file;
mod global;
mod run;
mod select;
mod time;
mod tips;
#[cfg(feature = "watch")]
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use global::{Format, Global};
pub(crate) use run::{ExecArgs, GuardArgs, How, OnLost, RunArgs, Scheme, refuse_option};
pub(crate) use select::{LsArgs, Select};
use time::time;
pub(crate) use tips::without_misleading;
#[cfg(feature = "watch")]
pub(crate) use watch::{View, WatchArgs, refresh};

/// Locks in Postgres: who holds what, who waits for whom, and a lock around any command
#[derive(Debug, Parser)]
#[command(
    name = "pglock",
    version,
    override_usage = "pglock [OPTIONS] [PID]...          the same as `pglock ls`\n       pglock [OPTIONS] <COMMAND>",
    subcommand_required = true,
    disable_help_subcommand = false,
    max_term_width = 100,
    after_help = file::EXAMPLES,
    after_long_help = format!("{}\n\n{}", file::EXAMPLES, file::ABOUT)
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Locks that are held and waited for, one row each
    Ls(LsArgs),
    /// Who waits, and who blocks them
    Blocked(LsArgs),
    /// Who blocks whom, roots first
    Tree(TreeArgs),
    /// All of it, live
    #[cfg(feature = "watch")]
    #[command(visible_alias = "top")]
    Watch(WatchArgs),
    /// Who holds a named lock, and who waits for it
    Who(WhoArgs),
    /// What a name is called in pg_locks; needs no server
    Id(IdArgs),
    /// The names that pglock knows, and where from
    Names,
    /// What about this server and this role would surprise you
    Doctor(DoctorArgs),
    /// Cancel what sessions are doing
    Cancel(HitArgs),
    /// End sessions
    #[command(visible_alias = "kill")]
    Terminate(HitArgs),
    /// End the session that holds a named lock
    #[command(visible_alias = "force-unlock")]
    Free(FreeArgs),
    /// Run a command while holding a lock
    Run(RunArgs),
    /// Run a command, and end or cancel the sessions that block it
    Guard(GuardArgs),
    /// Shell completions
    Completions {
        /// For which shell
        shell: Shell,
    },
    /// Man pages
    Man {
        /// Write a page for each command into this folder, instead of the first to the output
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Becomes a command that ends with its parent
    #[command(name = "__exec", hide = true)]
    Exec(ExecArgs),
}

#[derive(Args, Debug)]
pub(crate) struct TreeArgs {
    /// Only trees with these sessions
    pub(crate) pid: Vec<i32>,
    /// Only trees with a lock on this table; repeatable
    #[arg(short, long, value_name = "TABLE")]
    pub(crate) on: Vec<String>,
    /// Only trees in which somebody waits for the advisory lock of this name; repeatable
    #[arg(long, value_name = "NAME")]
    pub(crate) lock: Vec<String>,
    /// Only trees with somebody who has waited so long
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) min_wait: Option<std::time::Duration>,
    /// For Graphviz
    #[arg(long, conflicts_with = "svg")]
    pub(crate) dot: bool,
    /// A picture into this file; - for the output
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Exit with 1 when there is nothing
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WhoArgs {
    /// A name, an integer, a pair such as 1,2, or the word of a known migrator (pglock names)
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// How NAME becomes a key
    #[arg(long = "as", value_name = "SCHEME", default_value = "auto")]
    pub(crate) scheme: Scheme,
}

#[derive(Args, Debug)]
pub(crate) struct IdArgs {
    /// A name, an integer, a pair such as 1,2, or the word of a known migrator
    #[arg(required_unless_present = "of", value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// How NAME becomes a key
    #[arg(long = "as", value_name = "SCHEME", default_value = "auto")]
    pub(crate) scheme: Scheme,
    /// The keys that all schemes make of it
    #[arg(long, requires = "name", conflicts_with_all = ["of", "scheme"])]
    pub(crate) every: bool,
    /// The way back: which name is this in pg_locks?
    #[arg(long, num_args = 2..=3, value_names = ["CLASSID", "OBJID", "OBJSUBID"], conflicts_with = "name")]
    pub(crate) of: Option<Vec<u32>>,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArgs {
    /// Leave a check out, by the name that stands before what it finds; repeatable
    #[arg(long, value_name = "CHECK")]
    pub(crate) skip: Vec<String>,
    /// For how long a session may be idle with a lock, and a transaction prepared; one that is open and idle, a minute at most
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub(crate) idle: std::time::Duration,
}

#[derive(Args, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag on the command line"
)]
pub(crate) struct HitArgs {
    #[command(flatten)]
    pub(crate) select: Select,
    /// Those who block what is found, instead of those who have it or wait for it
    #[arg(long)]
    pub(crate) blocking: bool,
    /// Also those that have only locks of catalogs, and on their own transactions
    #[arg(short = 'A', long)]
    pub(crate) all: bool,
    /// How many locks of `ls` it is about.
    #[arg(skip)]
    pub(crate) limit: Option<usize>,
    /// Shows who would be hit
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Don't ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Args, Debug)]
pub(crate) struct FreeArgs {
    /// A name, an integer, a pair such as 1,2, or the word of a known migrator
    pub(crate) name: String,
    /// How NAME becomes a key
    #[arg(long = "as", value_name = "SCHEME", default_value = "auto")]
    pub(crate) scheme: Scheme,
    /// Until when pg_locks has to show that it is free
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = time)]
    pub(crate) wait: std::time::Duration,
    /// Shows who would be hit
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Don't ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// Makes `pglock ARGS` out of `pglock ls ARGS`: a line that was written for `manage.py pglock` carries over. A word in the
/// place of a command that is not one stays, so that the one which was meant is suggested.
pub(crate) fn with_ls(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let place = place_of_command(&arguments);
    let is_ls = arguments.get(place).is_none_or(|word| {
        let word = word.to_string_lossy();
        let is_pid = word.parse::<i32>().is_ok();
        let is_ours = ["-h", "--help", "-V", "--version"].contains(&&*word);
        is_pid || word.starts_with('-') && !is_ours
    });
    if is_ls {
        arguments.insert(place, "ls".into());
    }
    arguments
}

/// Whether they ask to run a command, whose exit codes are its own.
pub(crate) fn runs_a_command(arguments: &[OsString]) -> bool {
    let command = arguments.get(place_of_command(arguments));
    command.is_some_and(|command| command == "run" || command == "guard")
}

/// Where the name of a command stands, or would: behind the options of all commands.
fn place_of_command(arguments: &[OsString]) -> usize {
    let with_value = names_of_options_with_values();
    let flags = ["--json", "--read-only"];
    let mut place = 1;
    while let Some(word) = arguments.get(place).and_then(|word| word.to_str()) {
        if with_value.iter().any(|name| name == word) {
            place += 2;
        } else if flags.contains(&word) || is_attached(word, &with_value) {
            place += 1;
        } else {
            break;
        }
    }
    place.min(arguments.len())
}

/// Of those that all commands have, as they are written.
fn names_of_options_with_values() -> Vec<String> {
    let command = command();
    let options = command.get_arguments();
    options
        .filter(|option| option.get_action().takes_values())
        .flat_map(|option| {
            let longs = option.get_long().into_iter();
            let longs = longs.chain(option.get_all_aliases().unwrap_or_default());
            let short = option.get_short().map(|short| format!("-{short}"));
            let longs: Vec<_> = longs.map(|long| format!("--{long}")).collect();
            longs.into_iter().chain(short)
        })
        .collect()
}

/// An option with its value in one word.
fn is_attached(word: &str, names: &[String]) -> bool {
    names.iter().any(|name| {
        let rest = word.strip_prefix(name.as_str());
        match rest {
            Some(rest) if name.starts_with("--") => rest.starts_with('='),
            Some(rest) => !rest.is_empty(),
            None => false,
        }
    })
}

/// The whole command, for completions and man pages.
pub(crate) fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn read(line: &str) -> String {
        let arguments = line.split(' ').map(Into::into).collect();
        let words: Vec<_> = with_ls(arguments)
            .iter()
            .map(|word| OsStr::to_string_lossy(word).into_owned())
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn without_a_command_it_is_ls() {
        for (line, read_as) in [
            ("pglock", "pglock ls"),
            ("pglock 4045 4046", "pglock ls 4045 4046"),
            ("pglock -f a=b --blocking", "pglock ls -f a=b --blocking"),
            ("pglock -d app 12", "pglock -d app ls 12"),
            ("pglock -dapp --json -l 3", "pglock -dapp --json ls -l 3"),
            ("pglock --output=csv", "pglock --output=csv ls"),
            ("pglock -d app tree", "pglock -d app tree"),
            ("pglock --format json tree", "pglock --format json tree"),
            ("pglock tree 12", "pglock tree 12"),
            ("pglock lss", "pglock lss"),
            ("pglock --help", "pglock --help"),
        ] {
            assert_eq!(read(line), read_as);
        }
    }

    #[test]
    fn exit_codes_of_run_are_known_before_it_is_parsed() {
        let is_run = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
            runs_a_command(&words)
        };
        assert!(is_run("pglock run a -- b") && is_run("pglock -d app run a -- b"));
        assert!(!is_run("pglock who run"));
    }
}
