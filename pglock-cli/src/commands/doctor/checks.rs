//! The checks of `doctor`, one after the other. Each asks the server itself, and says what it found and what to do.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::patient::{Found, Level, Patient};
use super::transactions;
use crate::commands::look::query::Server;
use crate::connect;
use crate::failure::Failure;
use crate::names::key_text;
use crate::text;
use crate::wording;

#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    Locks,
    Version,
    ClientGone,
    Timeouts,
    LockTable,
    Leaked,
    Transactions,
    Prepared,
    Failover,
    Clock,
    Names,
    Rights,
    LogLockWaits,
}

pub(super) const CHECKS: [(&str, Check); 13] = [
    ("locks", Check::Locks),
    ("version", Check::Version),
    ("client-gone", Check::ClientGone),
    ("timeouts", Check::Timeouts),
    ("lock-table", Check::LockTable),
    ("leaked", Check::Leaked),
    ("transactions", Check::Transactions),
    ("prepared", Check::Prepared),
    ("failover", Check::Failover),
    ("clock", Check::Clock),
    ("names", Check::Names),
    ("rights", Check::Rights),
    ("log", Check::LogLockWaits),
];

/// How full the lock table may be, in percent.
const FULL: i64 = 50;

/// By how much the clocks may differ.
const SKEW: Duration = Duration::from_secs(1);

/// The last day of each version that pglock knows, by seconds since 1970.
const END_OF_LIFE: [(i32, u64, &str); 5] = [
    (14, 1_794_528_000, "2026-11-12"),
    (15, 1_825_977_600, "2027-11-11"),
    (16, 1_857_427_200, "2028-11-09"),
    (17, 1_888_876_800, "2029-11-08"),
    (18, 1_920_931_200, "2030-11-14"),
];

impl Check {
    pub(super) async fn of(self, patient: &Patient<'_>) -> Found {
        match self {
            Self::Locks => locks(patient).await,
            Self::Version => version(patient.client).await,
            Self::ClientGone => client_gone(patient.client).await,
            Self::Timeouts => timeouts(patient.client).await,
            Self::LockTable => lock_table(patient.client).await,
            Self::Leaked => leaked(patient).await,
            Self::Transactions => transactions::idle(patient).await,
            Self::Prepared => prepared(patient).await,
            Self::Failover => failover(patient.client).await,
            Self::Clock => clock(patient.client).await,
            Self::Names => Ok(names(patient)),
            Self::Rights => rights(patient.client).await,
            Self::LogLockWaits => log_lock_waits(patient.client).await,
        }
    }
}

async fn setting(client: &Client, name: &str) -> Result<Option<String>, Failure> {
    let sql = "SELECT current_setting($1, true)";
    let row = connect::row(client, sql, &[(&name, Type::TEXT)]).await?;
    Ok(row.get(0))
}

/// Which server it is.
pub(super) async fn place(client: &Client, server: &Server) -> Result<String, Failure> {
    let row = connect::row(
        client,
        "SELECT current_user::text, coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a local socket'), \
         pg_is_in_recovery(), coalesce((SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl), '')",
        &[],
    )
    .await?;
    let (user, at, standby, tls): (String, String, bool, String) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let tls = if tls.is_empty() { "no TLS" } else { &tls };
    let kind = if standby { "standby" } else { "primary" };
    Ok(text::one_line(&format!(
        "database \"{}\" at {at} as \"{user}\" · PostgreSQL {} · {kind} · {tls}",
        server.database, server.version
    )))
}

/// As the library does it, which finds poolers and standbys.
async fn locks(patient: &Patient<'_>) -> Found {
    let lock = pglock::advisory("pglock doctor").using(patient.database);
    Ok(vec![match lock.try_acquire_async().await {
        Ok(_) => (Level::Ok, "advisory locks work here".to_owned()),
        Err(error) => (Level::Fail, wording::told(&error)),
    }])
}

async fn version(client: &Client) -> Found {
    let number = setting(client, "server_version_num")
        .await?
        .unwrap_or_default();
    let major = number.parse::<i32>().unwrap_or_default() / 10_000;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let found = of_version(major, now.as_secs());
    Ok(found.into_iter().collect())
}

fn of_version(major: i32, now: u64) -> Option<(Level, String)> {
    let said = match END_OF_LIFE.iter().find(|(known, ..)| *known == major) {
        None if major < 14 => {
            format!("PostgreSQL {major} is older than what pglock is tested with (14 to 18)")
        }
        Some((_, end, day)) if now > *end => {
            format!("PostgreSQL {major} has had no fixes since {day}; upgrade it")
        }
        _ => return None,
    };
    Some((Level::Warn, said))
}

async fn client_gone(client: &Client) -> Found {
    const NAME: &str = "client_connection_check_interval";
    // As it is for others: this session may have set it for itself.
    let millis = "SELECT reset_val::bigint FROM pg_settings WHERE name = $1";
    let rows = connect::rows(client, millis, &[(&NAME, Type::TEXT)]).await?;
    let millis: i64 = rows.first().map_or(0, |row| row.get(0));
    if millis > 0 {
        let interval = text::chosen(Duration::from_millis(millis.unsigned_abs()));
        let said = format!(
            "{NAME} = {interval}: a statement whose client is gone is ended within that time"
        );
        return Ok(vec![(Level::Ok, said)]);
    }
    // The server refuses it on systems that can't do it.
    let can = client.batch_execute(&format!("SET {NAME} = '1s'")).await;
    Ok(vec![match can {
        Ok(()) => (
            Level::Info,
            format!(
                "{NAME} = 0: pglock's own waits end within a second when their client is gone, since they set it; other statements go on, and keep their locks until they end; ALTER SYSTEM SET {NAME} = '10s' changes that"
            ),
        ),
        Err(_) => (
            Level::Warn,
            format!(
                "the server can't look whether a client is gone ({NAME} can't be set on its system): a statement whose client is gone goes on, and keeps its locks until it ends"
            ),
        ),
    }])
}

async fn timeouts(client: &Client) -> Found {
    let rows = connect::rows(
        client,
        "SELECT s.name, s.reset_val::bigint \
         FROM pg_settings s WHERE s.name IN ('idle_session_timeout', 'idle_in_transaction_session_timeout', 'statement_timeout', 'lock_timeout', 'transaction_timeout') \
         AND s.reset_val <> '0' ORDER BY s.name",
        &[],
    )
    .await?;
    let found = rows.iter().map(|row| {
        let (name, millis): (String, i64) = (row.get(0), row.get(1));
        let value = text::chosen(Duration::from_millis(millis.unsigned_abs()));
        match &*name {
            "idle_session_timeout" => (
                Level::Warn,
                format!("{name} = {value} ends sessions that keep a lock and say nothing: pglock's own say something each second, but locks on connections of yours are lost; ALTER ROLE .. SET {name} = 0 for the role that locks"),
            ),
            "transaction_timeout" | "idle_in_transaction_session_timeout" => (
                Level::Info,
                format!("{name} = {value} ends transactions, and with them `xact` locks on connections of yours"),
            ),
            _ => (
                Level::Info,
                format!("{name} = {value} limits statements of yours; pglock's own waits have their own timeouts"),
            ),
        }
    });
    Ok(found.collect())
}

async fn lock_table(client: &Client) -> Found {
    let row = connect::row(
        client,
        "WITH held AS (SELECT pid, locktype FROM pg_locks WHERE NOT fastpath), \
         most AS (SELECT pid, count(*) AS n FROM held WHERE locktype = 'advisory' GROUP BY pid ORDER BY n DESC LIMIT 1) \
         SELECT current_setting('max_locks_per_transaction')::bigint * (current_setting('max_connections')::bigint + current_setting('max_prepared_transactions')::bigint), \
         (SELECT count(*) FROM held), most.pid, coalesce(most.n, 0), coalesce(a.application_name, '') \
         FROM (SELECT 1) one LEFT JOIN most ON true LEFT JOIN pg_stat_activity a ON a.pid = most.pid",
        &[],
    )
    .await?;
    let (room, used): (i64, i64) = (row.get(0), row.get(1));
    let (pid, most, name): (Option<i32>, i64, String) = (row.get(2), row.get(3), row.get(4));
    let percent = used * 100 / room.max(1);
    let mut said =
        format!("{used} of about {room} locks of the whole server are in use ({percent} %)");
    if percent < FULL {
        return Ok(vec![(Level::Ok, said)]);
    }
    if let Some(pid) = pid {
        let _ = write!(
            said,
            ", {most} of them advisory locks of \"{name}\" (pid {pid})"
        );
    }
    said += "; a full table fails everybody's statements: hold fewer locks at once, or raise max_locks_per_transaction";
    Ok(vec![(Level::Warn, said)])
}

async fn leaked(patient: &Patient<'_>) -> Found {
    let filter = format!(
        "activity__state_change__lt={}",
        before(patient.client, patient.idle).await?
    );
    let query = pglock::locks()
        .granted(true)
        .filter("kind=ADVISORY")?
        .filter("activity__state=IDLE")?;
    let idle = text::chosen(patient.idle);
    let mut client = patient.database.connect_async().await?;
    let found = query.filter(filter)?.fetch_async(&mut client).await?;
    let line = |lock: &pglock::Lock| {
        let key = lock.advisory_key.as_ref().map(key_text).unwrap_or_default();
        let name = patient.names.of_lock(lock, &patient.server.database);
        let called = name.map_or_else(|| key.clone(), |(name, _)| format!("{name:?}"));
        let application = lock
            .activity
            .application_name
            .as_deref()
            .unwrap_or_default();
        let pid = lock.activity.pid;
        (
            Level::Warn,
            format!(
                "advisory lock {called} is held by pid {pid} (\"{application}\"), which has been idle for more than {idle}: forgotten? `pglock free {key}` ends its session"
            ),
        )
    };
    Ok(found.iter().map(line).collect())
}

/// The server's time, so long ago, as filters take it.
async fn before(client: &Client, time: Duration) -> Result<String, Failure> {
    let ago = "SELECT (clock_timestamp() - make_interval(secs => $1))::text";
    let seconds = time.as_secs_f64();
    let row = connect::row(client, ago, &[(&seconds, Type::FLOAT8)]).await?;
    Ok(row.get(0))
}

async fn prepared(patient: &Patient<'_>) -> Found {
    let old = "SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::bigint FROM pg_prepared_xacts \
               WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => $1) ORDER BY prepared";
    let seconds = patient.idle.as_secs_f64();
    let rows = connect::rows(patient.client, old, &[(&seconds, Type::FLOAT8)]).await?;
    let found = rows.iter().map(|row| {
        let (gid, seconds): (String, i64) = (row.get(0), row.get(1));
        let lasts = text::duration(Duration::from_secs(seconds.cast_unsigned()));
        let quoted = gid.replace('\'', "''");
        (
            Level::Warn,
            format!("prepared transaction \"{gid}\" has kept its locks for {lasts}; COMMIT PREPARED '{quoted}' or ROLLBACK PREPARED '{quoted}' ends it"),
        )
    });
    Ok(found.collect())
}

async fn failover(client: &Client) -> Found {
    let standbys = "SELECT count(*) FROM pg_stat_replication";
    let row = connect::row(client, standbys, &[]).await;
    let standbys: i64 = row.map_or(0, |row| row.get(0));
    if standbys == 0 {
        return Ok(Vec::new());
    }
    let said = "there are standbys: a failover frees all locks, and a job on the old primary does not know it until its session ends; use `xact` locks where the commit has to fail then";
    Ok(vec![(Level::Info, said.to_owned())])
}

async fn clock(client: &Client) -> Found {
    let row = connect::row(client, "SELECT clock_timestamp()", &[]).await?;
    Ok(of_clocks(row.get(0), SystemTime::now())
        .into_iter()
        .collect())
}

fn of_clocks(there: SystemTime, here: SystemTime) -> Option<(Level, String)> {
    let skew = here
        .duration_since(there)
        .unwrap_or_else(|error| error.duration());
    if skew <= SKEW {
        return None;
    }
    let said = format!(
        "the clocks of this host and of the server differ by {}: what is shown as \"idle for\" is wrong by that, and `--at-least` may be too short for cron on several hosts; synchronize them",
        text::duration(skew)
    );
    Some((Level::Warn, said))
}

fn names(patient: &Patient<'_>) -> Vec<(Level, String)> {
    let pairs = patient.names.same_key().into_iter();
    pairs
        .map(|(one, other)| {
            (
                Level::Warn,
                format!("the names {one:?} and {other:?} have the same key, and exclude each other; rename one"),
            )
        })
        .collect()
}

async fn rights(client: &Client) -> Found {
    let row = connect::row(
        client,
        "SELECT current_user::text, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), \
         pg_has_role('pg_signal_backend', 'USAGE'), pg_has_role('pg_read_all_stats', 'USAGE')",
        &[],
    )
    .await?;
    let (role, superuser, signals, sees): (String, bool, bool, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    if superuser {
        return Ok(vec![(
            Level::Info,
            format!(
                "\"{role}\" is a superuser: it sees every statement, and may end every session"
            ),
        )]);
    }
    let signals = if signals {
        format!(
            "\"{role}\" may cancel and terminate the sessions of other roles (pg_signal_backend), but not superusers'"
        )
    } else {
        format!(
            "\"{role}\" may cancel and terminate sessions of its own roles only; GRANT pg_signal_backend TO \"{role}\" for others'"
        )
    };
    let sees = if sees {
        format!("\"{role}\" sees the statements of others (pg_read_all_stats)")
    } else {
        format!(
            "\"{role}\" does not see what sessions of others do; GRANT pg_read_all_stats TO \"{role}\""
        )
    };
    Ok(vec![(Level::Info, signals), (Level::Info, sees)])
}

async fn log_lock_waits(client: &Client) -> Found {
    let on = setting(client, "log_lock_waits")
        .await?
        .is_some_and(|value| value == "on");
    if on {
        return Ok(Vec::new());
    }
    let after = setting(client, "deadlock_timeout")
        .await?
        .unwrap_or_default();
    Ok(vec![(
        Level::Info,
        format!(
            "log_lock_waits = off: with it the server's log names who waited for whom for longer than deadlock_timeout ({after})"
        ),
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_without_fixes_is_warned_of() {
        let on_its_last_day = 1_794_528_000;
        assert!(of_version(14, on_its_last_day).is_none());
        for (major, says) in [(14, "since 2026-11-12"), (13, "older than what")] {
            let (level, said) = of_version(major, on_its_last_day + 1).expect("a warning");
            assert!(level == Level::Warn && said.contains(says), "{said}");
        }
        // One that is newer than this.
        assert!(of_version(19, u64::MAX).is_none());
    }

    #[test]
    fn clocks_that_differ_are_warned_of_whichever_is_fast() {
        let one = SystemTime::now();
        let other = one + Duration::from_millis(1_500);
        for (there, here) in [(one, other), (other, one)] {
            let (level, said) = of_clocks(there, here).expect("a warning");
            assert!(
                level == Level::Warn && said.contains("differ by 1.5 s"),
                "{said}"
            );
        }
        assert!(of_clocks(one, one + SKEW).is_none());
    }
}
