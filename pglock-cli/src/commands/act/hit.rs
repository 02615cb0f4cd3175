//! `cancel` and `terminate`.

use std::process::ExitCode;

use pglock::{Blocker, BlockerAction, Spared};
use serde_json::json;
use tokio_postgres::Client;

use super::find;
use super::victims::{self, Outcome, Verb, Victim};
use crate::args::{Format, Global, HitArgs, Select};
use crate::commands::look::query::{self, ByName, Server};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::show::{self, json};
use crate::text;

pub(crate) fn run(
    global: &Global,
    config: &Config,
    args: &HitArgs,
    verb: Verb,
) -> Result<ExitCode, Failure> {
    config.may_act(global, verb.name())?;
    if args.select.is_empty() {
        return Err(Failure::new(format!(
            "`{}` needs a pid or a filter; without one it would hit every session",
            verb.name()
        )));
    }
    let names = Names::of(global, config)?;
    connect::block_on(async {
        let database = connect::database(global, config, verb.name())?;
        let mut client = connect::to_act(&database).await?;
        let server = Server::of(&client).await?;
        let found = find::victims(&mut client, &server, args, names).await?;
        let missing = find::missing(&client, args, &found).await?;
        let (spared, victims) = part(found, verb, &victims::never(config)?);
        let mut told: Vec<(Victim, Option<Outcome>)> = Vec::new();
        told.extend(
            spared
                .into_iter()
                .map(|(victim, why)| (victim, Some(Outcome::Spared(why)))),
        );
        if !victims.is_empty() {
            show::say(&place(&server));
            victims::show_victims(&victims);
            if args.dry_run {
                told.extend(victims.into_iter().map(|victim| (victim, None)));
            } else if victims::ask(&verb.question(victims.len()), args.yes)? {
                for victim in victims {
                    let outcome = signal(&mut client, &victim, &victim.select(), verb).await?;
                    told.push((victim, Some(outcome)));
                }
            } else {
                show::say("nothing was done");
                return Ok(ExitCode::from(1));
            }
        }
        tell(global, &told, &missing, verb)
    })
}

/// Those who are never hit with the reason, and the others.
pub(crate) fn part(
    found: Vec<Victim>,
    verb: Verb,
    never: &[String],
) -> (Vec<(Victim, String)>, Vec<Victim>) {
    let (mut spared, mut victims) = (Vec::new(), Vec::new());
    for victim in found {
        match victim.spared(verb, never) {
            Some(why) => spared.push((victim, why)),
            None => victims.push(victim),
        }
    }
    (spared, victims)
}

/// Where the sessions are, for who might have meant another server.
pub(crate) fn place(server: &Server) -> String {
    format!(
        "In database \"{}\" at {}, as \"{}\":",
        text::one_line(&server.database),
        server.at,
        text::one_line(&server.user)
    )
}

/// Hits the session if it still is the one that was found, and `select` still finds it.
pub(crate) async fn signal(
    client: &mut Client,
    victim: &Victim,
    select: &Select,
    verb: Verb,
) -> Result<Outcome, Failure> {
    let query = query::locks(select, &ByName::default())?.report();
    let found: Vec<Blocker> = match verb {
        Verb::Cancel => query.cancel_activity_async(client).await?,
        Verb::Terminate => query.terminate_activity_async(client).await?,
    };
    let action = found.iter().find(|found| found.pid == victim.pid());
    Ok(match action.map(|found| found.action) {
        None if find::is_there(client, victim).await? => Outcome::LetGo,
        None | Some(BlockerAction::Spared(Spared::Gone)) => Outcome::Gone,
        Some(BlockerAction::Spared(Spared::Denied)) => Outcome::Denied,
        Some(BlockerAction::Spared(why)) => Outcome::Spared(why.to_string()),
        Some(_) => Outcome::Hit,
    })
}

fn tell(
    global: &Global,
    told: &[(Victim, Option<Outcome>)],
    missing: &[String],
    verb: Verb,
) -> Result<ExitCode, Failure> {
    // Who has ended meanwhile, as those do who waited for one that was hit, is out of the way as well.
    let is_settled = |outcome: &Option<Outcome>| outcome.as_ref().is_none_or(Outcome::is_settled);
    let all_hit = told.iter().all(|(_, outcome)| is_settled(outcome));
    if global.format() == Format::Json {
        let hit: Vec<_> = told
            .iter()
            .map(|(victim, outcome)| victim.json(outcome.as_ref(), verb))
            .collect();
        show::print(&json::document(
            &json!({ "schema": "pglock/hit/1", "sessions": hit }),
        ))?;
    } else {
        let lines = told
            .iter()
            .filter_map(|(victim, outcome)| Some(victim.told(outcome.as_ref()?, verb)));
        show::print(&lines.map(|line| line + "\n").collect::<String>())?;
    }
    for why in missing {
        show::say(&text::one_line(why));
    }
    if told.is_empty() && missing.is_empty() {
        show::say("no session has or wants such a lock");
    }
    let all_found = !told.is_empty() && missing.is_empty();
    Ok(ExitCode::from(u8::from(!all_found || !all_hit)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pglock::Database;
    use pglock_tests::{BOUND, TestDb, database, pid_of, wait_until};

    use super::*;

    /// A session that holds a lock, and the one that looks.
    async fn holder(db: &TestDb, pid: i32) -> Result<(Client, Victim), Failure> {
        let database = Database::builder(db.url()).build()?;
        let mut client = connect::to_act(&database).await?;
        let select = Select {
            pid: vec![pid],
            ..Select::default()
        };
        let mut found = query::locks(&select, &ByName::default())?
            .fetch_async(&mut client)
            .await?;
        let victim = Victim {
            activity: found.swap_remove(0).activity,
            blocks: 0,
        };
        Ok((client, victim))
    }

    fn holding(db: &TestDb) -> (postgres::Client, i32) {
        holding_as(db, "report", 42)
    }

    fn holding_as(db: &TestDb, name: &str, key: i64) -> (postgres::Client, i32) {
        let mut client = db.connect_as(name);
        let acquire = format!("SELECT pg_advisory_lock({key})");
        client.batch_execute(&acquire).unwrap();
        let pid = pid_of(&mut client);
        (client, pid)
    }

    /// As where its pid was given to another session after it had been shown.
    #[test]
    fn who_has_the_pid_of_a_session_that_was_shown_is_not_hit() {
        let db = database();
        let (_held, pid) = holding(&db);
        let outcomes = connect::block_on(async {
            let (mut client, shown) = holder(&db, pid).await?;
            let mut before = shown.clone();
            let start = before.activity.backend_start;
            before.activity.backend_start = start.map(|start| start - Duration::from_millis(1));
            let mut outcomes = Vec::new();
            for victim in [before, shown] {
                for verb in [Verb::Cancel, Verb::Terminate] {
                    let select = victim.select();
                    outcomes.push(signal(&mut client, &victim, &select, verb).await?);
                }
            }
            Ok(outcomes)
        });
        let idle = Outcome::Spared(Spared::Idle.to_string());
        let expected = [Outcome::Gone, Outcome::Gone, idle, Outcome::Hit];
        assert_eq!(outcomes.expect("the server answers"), expected);
    }

    /// As those do who waited for one that was hit.
    #[test]
    fn who_ends_or_lets_go_meanwhile_is_settled() {
        let db = database();
        let (mut lets_go, first) = holding_as(&db, "lets go", 42);
        let (ends, second) = holding_as(&db, "ends", 43);
        let found = |pid| {
            let found = connect::block_on(async { holder(&db, pid).await });
            found.expect("the server answers").1
        };
        let victims = [found(first), found(second)];
        lets_go
            .batch_execute("SELECT pg_advisory_unlock(42)")
            .unwrap();
        drop(ends);
        wait_until("it has ended", BOUND, || {
            db.backends_named("ends").is_empty()
        });
        let outcomes = connect::block_on(async {
            let database = Database::builder(db.url()).build()?;
            let mut client = connect::to_act(&database).await?;
            let mut outcomes = Vec::new();
            for victim in victims {
                let select = victim.select();
                outcomes.push(signal(&mut client, &victim, &select, Verb::Terminate).await?);
            }
            Ok(outcomes)
        });
        let outcomes = outcomes.expect("the server answers");
        assert_eq!(outcomes, [Outcome::LetGo, Outcome::Gone]);
        assert!(outcomes.iter().all(Outcome::is_settled));
        assert!(!Outcome::Denied.is_settled());
    }

    #[test]
    fn processes_of_the_server_and_prepared_transactions_are_spared() {
        let db = database();
        let (_held, pid) = holding(&db);
        let found = connect::block_on(async { holder(&db, pid).await });
        let (_client, client) = found.expect("the server answers");
        let mut process = client.clone();
        process.activity.backend_type = Some("WALSENDER".to_owned());
        let mut prepared = client.clone();
        prepared.activity.pid = 0;
        let (spared, victims) = part(vec![process, prepared, client], Verb::Terminate, &[]);
        let why: Vec<_> = spared.into_iter().map(|(_, why)| why).collect();
        assert!(
            why[0].contains("process of the server (walsender)"),
            "{why:?}"
        );
        assert!(why[1].contains("ROLLBACK PREPARED"), "{why:?}");
        assert_eq!(victims.len(), 1);
    }
}
