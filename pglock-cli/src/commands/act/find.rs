//! Whom the command line means: those whose locks a listing with the same options shows.

use std::collections::BTreeMap;
use std::time::SystemTime;

use pglock::{Activity, Lock};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::victims::{self, Victim};
use crate::args::HitArgs;
use crate::commands::look::query::{self, ByName, Server};
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::show::attribute::why_left_out;

pub(super) async fn victims(
    client: &mut Client,
    server: &Server,
    args: &HitArgs,
    mut names: Names,
) -> Result<Vec<Victim>, Failure> {
    let by_name = ByName::of(&args.select, &server.database, &mut names)?;
    let found: Vec<(Lock, Activity)> = if args.blocking {
        let found = query::blocked_locks(&args.select, &by_name)?
            .fetch_async(client)
            .await?;
        let pair = found.into_iter();
        pair.map(|found| (found.lock, found.blocking_activity))
            .collect()
    } else {
        let found = query::locks(&args.select, &by_name)?
            .fetch_async(client)
            .await?;
        let with_own = |lock: Lock| {
            let activity = lock.activity.clone();
            (lock, activity)
        };
        found.into_iter().map(with_own).collect()
    };
    // Of who is named by pid, any lock will do.
    let with_all = args.all || !args.select.pid.is_empty();
    let by_table = !args.select.on.is_empty();
    let is_shown = |lock: &Lock| with_all || why_left_out(lock, server.pid, by_table).is_none();
    let shown = found
        .into_iter()
        .filter(|(lock, _)| by_name.fits(lock) && is_shown(lock))
        .take(args.limit.unwrap_or(usize::MAX));
    let mut sessions: BTreeMap<(i32, Option<SystemTime>), Activity> = BTreeMap::new();
    for (_, activity) in shown {
        if activity.pid != server.pid {
            sessions.insert((activity.pid, activity.backend_start), activity);
        }
    }
    let mut victims: Vec<Victim> = sessions
        .into_values()
        .map(|activity| Victim {
            activity,
            blocks: 0,
        })
        .collect();
    victims::count_waiters(client, &mut victims).await?;
    Ok(victims)
}

/// Those pids of the command line that were not found, each with the reason.
pub(super) async fn missing(
    client: &Client,
    args: &HitArgs,
    found: &[Victim],
) -> Result<Vec<String>, Failure> {
    let mut missing = Vec::new();
    // With it, the pids are those of who waits.
    if args.blocking {
        return Ok(missing);
    }
    for pid in &args.select.pid {
        if found.iter().any(|victim| victim.pid() == *pid) {
            continue;
        }
        let sql = "SELECT datname IS DISTINCT FROM current_database(), datname::text FROM pg_stat_activity WHERE pid = $1";
        let rows = connect::rows(client, sql, &[(pid, Type::INT4)]).await?;
        missing.push(match rows.first() {
            None => format!("there is no session {pid}"),
            Some(row) if row.get(0) => match row.get::<_, Option<String>>(1) {
                Some(database) => format!(
                    "session {pid} is in another database; `-d` with the name or url of \"{database}\" finds it"
                ),
                None => format!("{pid} is not a client's session but a process of the server"),
            },
            Some(_) if args.select.picks_by_pid_only() => format!(
                "session {pid} has no lock and waits for none, so it was left alone; SELECT pg_terminate_backend({pid}) ends it"
            ),
            Some(_) => format!("session {pid} has no lock that this fits"),
        });
    }
    Ok(missing)
}

/// Whether a session that was found is still connected.
pub(super) async fn is_there(client: &Client, victim: &Victim) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND backend_start IS NOT DISTINCT FROM $2)";
    let (pid, start) = (victim.pid(), victim.activity.backend_start);
    let values: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&pid, Type::INT4), (&start, Type::TIMESTAMPTZ)];
    Ok(connect::row(client, sql, &values).await?.get(0))
}
