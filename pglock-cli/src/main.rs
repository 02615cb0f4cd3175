//! `pglock`: who holds which locks in Postgres, who blocks whom, and a lock around any command.

mod args;
mod commands;
mod config;
mod connect;
mod failure;
mod names;
mod show;
mod text;
mod wording;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};
use commands::act::victims::Verb;
use config::Config;
use failure::Failure;

fn main() -> ExitCode {
    let arguments = args::with_ls(std::env::args_os().collect());
    let runs = args::runs_a_command(&arguments);
    let ended = match Cli::try_parse_from(&arguments) {
        Ok(cli) => dispatch(cli),
        Err(error) => Err(Failure::usage(args::without_misleading(error), runs)),
    };
    match ended {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    cli.global.apply_color();
    let (global, command) = (&cli.global, cli.command);
    match command {
        Command::Ls(_) | Command::Blocked(_) => {}
        // It has a reason of its own.
        #[cfg(feature = "watch")]
        Command::Watch(_) => {}
        Command::Run(_) | Command::Guard(_) => global.refuse_rows().map_err(Failure::of_run)?,
        _ => global.refuse_rows()?,
    }
    match command {
        Command::Ls(args) => commands::look::ls::run(global, &args),
        Command::Blocked(args) => commands::look::ls::run(global, &args.blocked()),
        Command::Tree(args) => commands::look::tree::run(global, &args),
        #[cfg(feature = "watch")]
        Command::Watch(args) => commands::watch::run(global, &args),
        Command::Who(args) => commands::look::who::run(global, &args),
        Command::Id(args) => commands::look::id::run(global, &args),
        Command::Names => commands::look::names::run(global),
        Command::Doctor(args) => commands::doctor::run(global, &args),
        Command::Cancel(args) => {
            commands::act::hit::run(global, &Config::find(global)?, &args, Verb::Cancel)
        }
        Command::Terminate(args) => {
            commands::act::hit::run(global, &Config::find(global)?, &args, Verb::Terminate)
        }
        Command::Free(args) => commands::act::free::run(global, &args),
        Command::Run(args) => commands::run::run(global, &args).map_err(Failure::of_run),
        Command::Guard(args) => commands::guard::run(global, &args).map_err(Failure::of_run),
        Command::Exec(args) => commands::process::exec::run(&args),
        Command::Completions { shell } => commands::set_up::completions(shell),
        Command::Man { dir } => commands::set_up::man(dir.as_deref()),
    }
}
