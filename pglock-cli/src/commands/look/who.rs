//! `who`: who holds a named lock, and who waits for it.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use pglock::{Lock, LockId};
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::limits::{self, Limit};
use super::query::{ByName, Server};
use crate::args::{Format, Global, Select, WhoArgs};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::{self, Meant, Names, is_pair, key_text};
use crate::show::attribute::{session, time};
use crate::show::{self, json, style};
use crate::text;

pub(crate) fn run(global: &Global, args: &WhoArgs) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    let known = Names::of(global, &config)?;
    let (server, found) = connect::block_on(async {
        let database = connect::database(global, &config, "who")?;
        let mut client = connect::to_look(&database).await?;
        let server = Server::of(&client).await?;
        let mut found = Vec::new();
        let ids = args.names.iter().map(|word| {
            let meant = names::read(word, args.scheme, Some(&server.database))?;
            Ok(meant.id)
        });
        let ids = ids.collect::<Result<Vec<_>, Failure>>()?;
        let mut limits = limits::of_server(&mut client, &known, ids).await?;
        for word in &args.names {
            let meant = names::read(word, args.scheme, Some(&server.database))?;
            let locks = locks_of(&mut client, &meant.id).await?;
            let limit = limits.iter().position(|limit| limit.is(&meant.id));
            let limit = limit.map(|limit| limits.swap_remove(limit));
            let elsewhere = if is_held(&locks) || limit.is_some() {
                Vec::new()
            } else {
                elsewhere(&client, &meant.id).await?
            };
            found.push(Found {
                meant,
                locks,
                limit,
                elsewhere,
            });
        }
        Ok((server, found))
    })?;
    if global.format() == Format::Json {
        let found: Vec<_> = found.iter().map(|found| found.json(&known)).collect();
        show::print(&json::document(
            &json!({ "schema": "pglock/who/1", "server": server.json(), "locks": found }),
        ))?;
    } else {
        let found: Vec<_> = found
            .iter()
            .map(|found| found.text(&server) + &taken(&found.meant, &known))
            .collect();
        show::print(&found.join("\n"))?;
    }
    let all_held = found.iter().all(Found::is_held);
    Ok(ExitCode::from(u8::from(!all_held)))
}

/// What was found of a name.
struct Found {
    meant: Meant,
    /// Who has the lock with that name, and who waits for it.
    locks: Vec<Lock>,
    /// The limit with that name, if somebody has a permit.
    limit: Option<Limit>,
    elsewhere: Vec<String>,
}

impl Found {
    fn is_held(&self) -> bool {
        self.limit.is_some() || is_held(&self.locks)
    }

    fn text(&self, server: &Server) -> String {
        match &self.limit {
            Some(limit) => of_limit(&self.meant, limit),
            None => described(&self.meant, &self.locks, server, &self.elsewhere),
        }
    }

    fn json(&self, known: &Names) -> Value {
        let mut value = described_in_json(&self.meant, &self.locks, known);
        value["limit"] = Value::Null;
        let Some(limit) = &self.limit else {
            return value;
        };
        let holders = limit.taken.iter().map(|(slot, lock)| {
            let mut holder = session_in_json(lock);
            holder["slot"] = json!(slot);
            holder
        });
        value["holders"] = holders.collect();
        let waiters = limit.first_in_line().into_iter().chain(&limit.waiting);
        value["waiters"] = waiters.map(session_in_json).collect();
        value["limit"] = limit.json();
        value
    }
}

/// Who has its permits, who is first in line, and who waits for that.
fn of_limit(meant: &Meant, limit: &Limit) -> String {
    let mut text = format!("{}\n", limit.title(&title(meant)));
    let mut line = |what: &str, lock: &Lock| {
        let since = lock.held_since.map(since).unwrap_or_default();
        let _ = writeln!(text, "{what:<8} {}{since}", session(&lock.activity));
    };
    for (slot, lock) in &limit.taken {
        line(&format!("slot {slot}"), lock);
    }
    if let Some(first) = limit.first_in_line() {
        line("first", first);
    }
    if let Some(stopped) = limit.stopped_by() {
        line("stops", stopped);
    }
    let waiting = limit.waiting.iter().enumerate();
    text.extend(waiting.map(|(nth, lock)| waits(nth, lock)));
    text
}

fn is_held(locks: &[Lock]) -> bool {
    locks.iter().any(|lock| lock.granted)
}

/// What finds the lock in `pg_locks`.
pub(crate) fn select(id: &LockId) -> Select {
    let (classid, objid) = pglock::advisory_id(id.clone());
    let objsubid = if is_pair(id) { 2 } else { 1 };
    Select {
        filter: vec![
            "kind=ADVISORY".to_owned(),
            format!("classid={classid}"),
            format!("objid={objid}"),
            format!("objsubid={objsubid}"),
        ],
        ..Select::default()
    }
}

/// Who has the lock, and who waits for it, the longest wait first.
pub(crate) async fn locks_of(client: &mut Client, id: &LockId) -> Result<Vec<Lock>, Failure> {
    let mut locks = super::query::locks(&select(id), &ByName::default())?
        .fetch_async(client)
        .await?;
    locks.sort_by_key(|lock| (!lock.granted, std::cmp::Reverse(lock.wait_duration)));
    Ok(locks)
}

/// The name with its key.
pub(crate) fn title(meant: &Meant) -> String {
    let what = if is_pair(&meant.id) { "pair" } else { "key" };
    let (called, key) = (text::one_line(&meant.called), key_text(&meant.id));
    if called == key {
        return format!("advisory lock {called}");
    }
    format!("{} ({what} {key})", style::painted(&called, style::NAME))
}

/// A lock is one of its database: that it is free is only true of the one that was looked in.
pub(crate) fn is_free(meant: &Meant, server: &Server, elsewhere: &[String]) -> String {
    let mut text = format!(
        "{} is free in database \"{}\"",
        title(meant),
        text::one_line(&server.database)
    );
    if !elsewhere.is_empty() {
        let names: Vec<_> = elsewhere
            .iter()
            .map(|name| format!("\"{}\"", text::one_line(name)))
            .collect();
        let _ = write!(
            text,
            "; one with this key is held in {}: `-d` chooses the database",
            names.join(", ")
        );
    }
    text
}

/// The other databases of the server in which a lock with this key is held.
pub(crate) async fn elsewhere(client: &Client, id: &LockId) -> Result<Vec<String>, Failure> {
    let (classid, objid) = pglock::advisory_id(id.clone());
    let objsubid: i64 = if is_pair(id) { 2 } else { 1 };
    let sql = "SELECT DISTINCT d.datname::text FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
               WHERE l.locktype = 'advisory' AND l.granted AND d.datname <> current_database() \
               AND l.classid::bigint = $1 AND l.objid::bigint = $2 AND l.objsubid::bigint = $3 ORDER BY 1";
    let (classid, objid) = (i64::from(classid), i64::from(objid));
    let values: [(&(dyn ToSql + Sync), Type); 3] = [
        (&classid, Type::INT8),
        (&objid, Type::INT8),
        (&objsubid, Type::INT8),
    ];
    let rows = connect::rows(client, sql, &values).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn described(meant: &Meant, locks: &[Lock], server: &Server, elsewhere: &[String]) -> String {
    let title = title(meant);
    if !is_held(locks) {
        let mut text = is_free(meant, server, elsewhere) + "\n";
        text.extend(locks.iter().enumerate().map(|(nth, lock)| waits(nth, lock)));
        return text;
    }
    let mut text = format!("{title}\n");
    let (held, waiting): (Vec<_>, Vec<_>) = locks.iter().partition(|lock| lock.granted);
    for lock in held {
        let session = session(&lock.activity);
        let since = lock.held_since.map(since).unwrap_or_default();
        let _ = writeln!(text, "held     {session}  {}{since}", lock.mode);
    }
    text.extend(
        waiting
            .into_iter()
            .enumerate()
            .map(|(nth, lock)| waits(nth, lock)),
    );
    text
}

/// Where programs take it, by their catalogs.
fn taken(meant: &Meant, known: &Names) -> String {
    let lines = known.taken(&meant.id);
    lines
        .map(|taken| text::one_line(&taken.to_string()) + "\n")
        .collect()
}

/// By this machine's clock, which may differ from the server's.
fn since(then: SystemTime) -> String {
    let lasts = then.elapsed().unwrap_or_default();
    format!("  since {}, {}", time(then), text::duration(lasts))
}

fn waits(nth: usize, lock: &Lock) -> String {
    let wait = lock
        .wait_duration
        .map(|wait| format!("  {}", text::duration(wait)));
    let line = format!(
        "waits {:<2} {}  {}{}",
        nth + 1,
        session(&lock.activity),
        lock.mode,
        wait.unwrap_or_default()
    );
    style::painted(&line, style::WAITS) + "\n"
}

fn described_in_json(meant: &Meant, locks: &[Lock], known: &Names) -> Value {
    let (held, waiting): (Vec<_>, Vec<_>) = locks.iter().partition(|lock| lock.granted);
    json!({
        "lock": { "name": meant.called, "key": key_text(&meant.id) },
        "holders": held.into_iter().map(session_in_json).collect::<Vec<_>>(),
        "waiters": waiting.into_iter().map(session_in_json).collect::<Vec<_>>(),
        "catalog": known.taken(&meant.id).map(json::taken).collect::<Vec<_>>(),
    })
}

fn session_in_json(lock: &Lock) -> Value {
    json!({
        "mode": lock.mode.as_str(),
        "wait_seconds": json::seconds(lock.wait_duration),
        "held_since": json::times(lock.held_since),
        "activity": lock.activity,
    })
}
