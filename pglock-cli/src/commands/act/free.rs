//! `free`: ends the sessions that hold a named lock.

use std::process::ExitCode;
use std::time::Instant;

use pglock::Lock;
use serde_json::json;
use tokio_postgres::Client;

use super::hit;
use super::victims::{self, Outcome, Verb, Victim};
use crate::args::{Format, FreeArgs, Global};
use crate::commands::look::limits::{self, Limit};
use crate::commands::look::query::Server;
use crate::commands::look::who::{self, locks_of, select, title};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::{self, Meant, Names};
use crate::show::{self, json};
use crate::text;

/// How often it is looked whether the lock is free.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);

pub(crate) fn run(global: &Global, args: &FreeArgs) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    config.may_act(global, "free")?;
    connect::block_on(async {
        let database = connect::database(global, &config, "free")?;
        let mut client = connect::to_act(&database).await?;
        let server = Server::of(&client).await?;
        let meant = names::read(&args.name, args.scheme, Some(&server.database))?;
        let limits = limits::of_server(&mut client, &Names::default(), [meant.id.clone()]).await?;
        let limit = limits.iter().find(|limit| limit.is(&meant.id));
        if let Some(limit) = limit.filter(|limit| limit.stopped_by().is_none()) {
            return Err(is_limit(&meant, limit));
        }
        let (holders, waiting) = holders(&mut client, &meant).await?;
        if holders.is_empty() {
            if global.format() == Format::Json {
                print_json(&meant, &[])?;
            } else {
                let elsewhere = who::elsewhere(&client, &meant.id).await?;
                show::print(&(who::is_free(&meant, &server, &elsewhere) + "\n"))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        show::say(&format!(
            "{} {} is held by",
            hit::place(&server),
            title(&meant)
        ));
        victims::show_victims(&holders);
        let next = match waiting {
            0 => String::new(),
            1 => " 1 waits and will have it next.".to_owned(),
            more => format!(" {more} wait, of which one will have it next."),
        };
        show::say(&format!(
            "Its session is ended, and its job is told that it lost the lock; what the job does meanwhile is not undone.{next}"
        ));
        if args.dry_run {
            if global.format() == Format::Json {
                let shown: Vec<_> = holders.into_iter().map(|holder| (holder, None)).collect();
                print_json(&meant, &shown)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let question = match &holders[..] {
            [one] => format!("End session {}?", one.pid()),
            more => format!("End these {} sessions?", more.len()),
        };
        let never = victims::never(&config)?;
        if !victims::ask(&question, args.yes)? {
            show::say("nothing was done");
            return Ok(ExitCode::from(1));
        }
        let mut told = Vec::new();
        for holder in holders {
            let outcome = match holder.spared(Verb::Terminate, &never) {
                Some(why) => Outcome::Spared(why),
                None => end(&mut client, &holder, &meant).await?,
            };
            told.push((holder, Some(outcome)));
        }
        let (is_free, after) = wait_until_free(&mut client, &server, &meant, &told, args).await?;
        if global.format() == Format::Json {
            print_json(&meant, &told)?;
        } else {
            let lines: String = told
                .iter()
                .filter_map(|(victim, outcome)| Some((victim, outcome.as_ref()?)))
                .map(|(victim, outcome)| victim.told(outcome, Verb::Terminate) + "\n")
                .collect();
            show::print(&format!("{lines}{after}\n"))?;
        }
        let is_settled =
            |(_, outcome): &(_, Option<Outcome>)| outcome.as_ref().is_some_and(Outcome::is_settled);
        let all_ended = told.iter().all(is_settled);
        Ok(ExitCode::from(u8::from(!all_ended || !is_free)))
    })
}

/// Who has the lock with a limit's name has no permit, but waits for one.
fn is_limit(meant: &Meant, limit: &Limit) -> Failure {
    let taken: Vec<_> = limit
        .taken
        .iter()
        .map(|(slot, lock)| {
            let name = lock.activity.application_name.as_deref();
            let name = name.map(text::one_line).unwrap_or_default();
            format!("slot {slot} by {} \"{name}\"", lock.activity.pid)
        })
        .collect();
    let free = limit.taken.keys().next().map_or(0, |slot| *slot);
    let permit = pglock::LockId::permit(meant.id.clone(), free);
    Failure::new(format!(
        "{}: {}; nobody was hit, since a permit is freed by its own name, as with `pglock free {permit}`",
        limit.title(&title(meant)),
        taken.join(", ")
    ))
}

/// Who holds the lock, and how many wait for it.
async fn holders(client: &mut Client, meant: &Meant) -> Result<(Vec<Victim>, usize), Failure> {
    let locks = locks_of(client, &meant.id).await?;
    let (held, waiting): (Vec<Lock>, Vec<Lock>) = locks.into_iter().partition(|lock| lock.granted);
    let victim = |lock: Lock| Victim {
        activity: lock.activity,
        blocks: 0,
    };
    Ok((held.into_iter().map(victim).collect(), waiting.len()))
}

/// Ends the session if it holds that key at that moment.
async fn end(client: &mut Client, holder: &Victim, meant: &Meant) -> Result<Outcome, Failure> {
    let mut select = select(&meant.id);
    let session = holder.select();
    select.pid = session.pid;
    select.filter.extend(session.filter);
    select.held = true;
    hit::signal(client, holder, &select, Verb::Terminate).await
}

/// Whether it is free of those who held it, and what is so, in words.
async fn wait_until_free(
    client: &mut Client,
    server: &Server,
    meant: &Meant,
    told: &[(Victim, Option<Outcome>)],
    args: &FreeArgs,
) -> Result<(bool, String), Failure> {
    let began = Instant::now();
    let is_old = |lock: &Lock| {
        told.iter().any(|(victim, _)| {
            (victim.pid(), victim.activity.backend_start)
                == (lock.activity.pid, lock.activity.backend_start)
        })
    };
    loop {
        let locks = locks_of(client, &meant.id).await?;
        let held: Vec<_> = locks.iter().filter(|lock| lock.granted).collect();
        if !held.iter().any(|lock| is_old(lock)) {
            let after = match held.first() {
                None => who::is_free(meant, server, &[]),
                Some(lock) => {
                    let name = lock
                        .activity
                        .application_name
                        .as_deref()
                        .unwrap_or_default();
                    format!(
                        "{} \"{}\" has {} now",
                        lock.activity.pid,
                        text::one_line(name),
                        title(meant)
                    )
                }
            };
            return Ok((true, after));
        }
        if began.elapsed() >= args.wait {
            return Ok((false, format!("{} is still held", title(meant))));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn print_json(meant: &Meant, told: &[(Victim, Option<Outcome>)]) -> Result<(), Failure> {
    let sessions: Vec<_> = told
        .iter()
        .map(|(victim, outcome)| victim.json(outcome.as_ref(), Verb::Terminate))
        .collect();
    Ok(show::print(&json::document(&json!({
        "schema": "pglock/hit/1",
        "lock": { "name": meant.called, "key": names::key_text(&meant.id) },
        "sessions": sessions,
    })))?)
}
