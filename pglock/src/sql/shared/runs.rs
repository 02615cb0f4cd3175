//! When what is `once_in` last began: the one table of pglock's.

use std::time::Duration;

use crate::model::lock_id::{Key, LockId};
use crate::model::lock_request::LockSpec;
use crate::sql::Rows;
use crate::sql::parts::{is_lock, literal};

/// What makes the table. `lock` is the key as a text, since the same name is not always the same lock.
pub(crate) const SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS pglock;
CREATE TABLE IF NOT EXISTS pglock.runs (
    lock text PRIMARY KEY,
    name text NOT NULL,
    started timestamptz NOT NULL,
    ran_by text NOT NULL
);
";

/// For how many milliseconds a run waits for its row, which somebody else may have locked.
const LOCK_TIMEOUT: u32 = 1_000;

/// The run before one that is not due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunBefore {
    /// How long ago it began.
    pub(crate) ago: Duration,
    /// The `application_name` of the session that ran it.
    pub(crate) ran_by: String,
}

/// Notes that a run begins, unless the one before began within `period`.
pub(crate) fn begin(lock: &LockSpec, period: Duration) -> String {
    let key = match lock.key {
        Key::Big(key) => key.to_string(),
        Key::Pair(first, second) => format!("{first},{second}"),
    };
    format!(
        "SELECT pg_catalog.set_config('lock_timeout', '{LOCK_TIMEOUT}', true); WITH began AS (\
         INSERT INTO pglock.runs AS r (lock, name, started, ran_by) \
         VALUES ('{key}', {name}, pg_catalog.clock_timestamp(), pg_catalog.current_setting('application_name')) \
         ON CONFLICT (lock) DO UPDATE SET name = excluded.name, started = excluded.started, ran_by = excluded.ran_by \
         WHERE r.started <= excluded.started - pg_catalog.make_interval(secs => {seconds}::double precision) \
         RETURNING true) \
         SELECT EXISTS (SELECT FROM began), \
         (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - before.started) * 1000)::bigint, before.ran_by \
         FROM (SELECT) one LEFT JOIN pglock.runs before ON before.lock = '{key}'",
        name = literal(&in_ascii(&lock.id)),
        seconds = period.as_secs_f64(),
    )
}

/// `None` where the run may begin. What cannot be read is a run before, of which nothing is known.
pub(crate) fn read_begun(rows: &Rows) -> Option<RunBefore> {
    let row = rows.iter().last();
    if row.as_ref().is_some_and(|row| row.is_true(0)) {
        return None;
    }
    let ago = row.as_ref().and_then(|row| row.parsed(1)).unwrap_or(0);
    let ran_by = row.as_ref().and_then(|row| row.text(2)).unwrap_or_default();
    Some(RunBefore {
        ago: Duration::from_millis(ago),
        ran_by: ran_by.to_owned(),
    })
}

/// A number that is larger than that of any statement before this one, also over a crash: the message has the commit wait
/// until the number is on disk, which `synchronous_commit` could spare it. Then, whether that session still has the lock: who
/// has lost it must not get a larger number than the next one.
pub(crate) fn token(lock: &LockSpec, pid: i32) -> String {
    format!(
        "SELECT pg_catalog.set_config('synchronous_commit', 'on', true), \
         pg_catalog.pg_current_xact_id(), pg_catalog.pg_logical_emit_message(true, 'pglock', ''); \
         SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE {} AND granted AND pid = {pid})",
        is_lock(lock.key)
    )
}

/// What has become of a token.
pub(crate) enum Token {
    Given(u64),
    /// The session has the lock no more.
    Lost,
}

pub(crate) fn read_token(rows: &Rows) -> Option<Token> {
    if rows.last_bool()? {
        rows.first_row()?.parsed(1).map(Token::Given)
    } else {
        Some(Token::Lost)
    }
}

/// The server's encoding may lack other characters.
fn in_ascii(id: &LockId) -> String {
    let shown = id.plain();
    let mut ascii = String::with_capacity(shown.len());
    for character in shown.chars() {
        match character {
            ' '..='~' => ascii.push(character),
            other => ascii.extend(other.escape_default()),
        }
    }
    ascii
}
