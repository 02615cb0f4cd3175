//! `guard`: a command whose sessions nobody keeps waiting for long.
//!
//! What `pglock::prioritize` is for a connection in a program, this is for the sessions of another program. They are known
//! by their application's name, which the command gets in its environment.

mod blockers;
mod rest;

use std::collections::hash_map::RandomState;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use pglock::Database;
use tokio_postgres::Client;

use super::process::{Child, Ended};
use super::signals::Signals;
use crate::args::{Global, GuardArgs, refuse_option};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::show;
use crate::text;
use blockers::{Blockers, Guarded};

/// How long a look may take. The end of the command is noticed after it.
const LOOK_BOUND: Duration = Duration::from_secs(5);

pub(crate) fn run(global: &Global, args: &GuardArgs) -> Result<ExitCode, Failure> {
    refuse_option(&args.command)?;
    let config = Config::find(global)?;
    if !args.dry_run {
        config.may_act(global, "guard")?;
    }
    let code = connect::block_on(async {
        let database = connect::database(global, &config, "guard")?;
        let mut signals = Signals::listen()?;
        let guarded = Guarded::new(args, unique_name(&args.command[0]), &config)?;
        // So that a mistake shows before the command has done anything.
        let mut client = Some(connect::to_act(&database).await?);
        let mut child = Child::spawn(&args.command, environment(args, &guarded.application))?;
        let mut blockers = Blockers::new(guarded);
        let ended = watch(
            &mut child,
            &mut signals,
            &mut blockers,
            &database,
            &mut client,
        )
        .await?;
        let application = blockers.application();
        let mut rest = pin!(tokio::time::timeout(
            LOOK_BOUND,
            rest(args, application, &mut client, &database)
        ));
        tokio::select! {
            rest = &mut rest => if let Err(failure) = rest.unwrap_or_else(|_| Err(too_late())) {
                show::say(&format!("pglock: {failure}"));
            },
            // Who does not want to wait for that either.
            _ = signals.next_that_ends() => {}
        }
        if !args.quiet {
            blockers.report();
        }
        Ok(ended.code())
    })?;
    Ok(ExitCode::from(code))
}

/// What drivers take from the environment.
fn environment(args: &GuardArgs, application: &str) -> Vec<(&'static str, Option<String>)> {
    let mut environment = vec![("PGAPPNAME", Some(application.to_owned()))];
    if let Some(timeout) = args.lock_timeout {
        let mut options = std::env::var("PGOPTIONS").unwrap_or_default();
        if !options.is_empty() {
            options.push(' ');
        }
        let _ = write!(options, "-c lock_timeout={}ms", timeout.as_millis());
        environment.push(("PGOPTIONS", Some(options)));
    }
    environment
}

/// Looks for blocking sessions again and again, until the command has ended.
async fn watch(
    child: &mut Child,
    signals: &mut Signals,
    blockers: &mut Blockers,
    database: &Database,
    client: &mut Option<Client>,
) -> Result<Ended, Failure> {
    loop {
        let mut rest = pin!(tokio::time::sleep(blockers.interval()));
        loop {
            tokio::select! {
                ended = child.wait() => return ended,
                signal = signals.next() => child.pass_on(signal),
                () = &mut rest => break,
            }
        }
        // If the command ends meanwhile, what is done now is still told.
        let looked = {
            let look = look(blockers, client, database);
            let mut look = pin!(tokio::time::timeout(LOOK_BOUND, look));
            loop {
                tokio::select! {
                    looked = &mut look => break looked,
                    signal = signals.next() => child.pass_on(signal),
                }
            }
        };
        if let Err(failure) = looked.unwrap_or_else(|_| Err(too_late())) {
            *client = None;
            blockers.failed(failure);
        }
    }
}

async fn look(
    blockers: &mut Blockers,
    client: &mut Option<Client>,
    database: &Database,
) -> Result<(), Failure> {
    blockers.look(connected(client, database).await?).await
}

/// A server that was away for a moment is connected to again.
async fn connected<'c>(
    client: &'c mut Option<Client>,
    database: &Database,
) -> Result<&'c mut Client, Failure> {
    Ok(match client {
        Some(client) => client,
        None => client.insert(connect::to_act(database).await?),
    })
}

fn too_late() -> Failure {
    Failure::new("the server did not answer in time")
}

/// Ends what the server still runs for the command. With `--app`, others may have the same name, and are only told of.
async fn rest(
    args: &GuardArgs,
    application: &str,
    client: &mut Option<Client>,
    database: &Database,
) -> Result<(), Failure> {
    let client = connected(client, database).await?;
    if args.app.is_none() && !args.dry_run {
        return rest::cancel(client, application, args.quiet).await;
    }
    let pids = rest::running(client, application).await?;
    if pids.is_empty() || args.quiet {
        return Ok(());
    }
    let shown: Vec<_> = pids.iter().map(i32::to_string).collect();
    show::say(&format!(
        "pglock: the command has ended, but sessions called \"{}\" run statements; if they are its own, `pglock cancel {}` cancels them",
        text::one_line(application),
        shown.join(" ")
    ));
    Ok(())
}

/// The name by which the sessions of the command are known.
fn unique_name(command: &OsStr) -> String {
    let program = Path::new(command).file_name().unwrap_or(command);
    let program = text::one_line(&program.to_string_lossy());
    // Postgres keeps 63 bytes of it, and replaces what is not ASCII.
    let program: String = program.chars().filter(char::is_ascii).take(30).collect();
    // In containers processes have the same numbers, and one guard must not end those who block another's command.
    let random = RandomState::new().hash_one(std::process::id());
    format!("guarded {program} {random:016x}")
}
