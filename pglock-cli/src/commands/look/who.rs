//! `who`: who holds a named lock, and who waits for it.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::SystemTime;

use pglock::{Lock, LockId};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::query::Server;
use crate::args::{Format, Global, Select, WhoArgs};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::{self, Meant, Names, is_pair, key_text};
use crate::show::attribute::{session, time};
use crate::show::{self, json, style, text};

pub(crate) fn run(global: &Global, args: &WhoArgs) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    let known = Names::of(global, &config)?;
    let found = connect::block_on(async {
        let database = connect::database(global, &config, "who")?;
        let mut client = connect::to_look(&database).await?;
        let server = Server::of(&client).await?;
        let mut found = Vec::new();
        for word in &args.names {
            let meant = names::read(word, args.scheme, Some(&server.database))?;
            let locks = locks_of(&mut client, &meant.id).await?;
            found.push((meant, locks));
        }
        Ok(found)
    })?;
    if global.format() == Format::Json {
        let found: Vec<_> = found
            .iter()
            .map(|(meant, locks)| described_in_json(meant, locks, &known))
            .collect();
        show::print(&json::document(
            &json!({ "schema": "pglock/who/1", "locks": found }),
        ))?;
    } else {
        let found: Vec<_> = found
            .iter()
            .map(|(meant, locks)| described(meant, locks) + &taken(meant, &known))
            .collect();
        show::print(&found.join("\n"))?;
    }
    let is_held = |locks: &[Lock]| locks.iter().any(|lock| lock.granted);
    let all_held = found.iter().all(|(_, locks)| is_held(locks));
    Ok(ExitCode::from(u8::from(!all_held)))
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
    let mut locks = super::query::locks(&select(id))?
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

fn described(meant: &Meant, locks: &[Lock]) -> String {
    let title = title(meant);
    if !locks.iter().any(|lock| lock.granted) {
        let mut text = format!("{title} is free\n");
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
    let session = |lock: &Lock| {
        json!({
            "mode": lock.mode.as_str(),
            "wait_seconds": json::seconds(lock.wait_duration),
            "held_since": json::times(lock.held_since),
            "activity": lock.activity,
        })
    };
    json!({
        "lock": { "name": meant.called, "key": key_text(&meant.id) },
        "holders": held.into_iter().map(session).collect::<Vec<_>>(),
        "waiters": waiting.into_iter().map(session).collect::<Vec<_>>(),
        "catalog": known.taken(&meant.id).map(json::taken).collect::<Vec<_>>(),
    })
}
