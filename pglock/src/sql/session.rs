//! The first words on a session of pglock's own, and those that keep it.

use std::time::Duration;

use super::parts::{CAN_LOOK_FOR_CLIENT, arguments, is_lock, microseconds, on_backend};
use crate::model::liveness::Liveness;
use crate::model::lock_id::Key;
use crate::model::options::Scope;

/// What a server knows that not all do; an unknown setting is an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerFeatures {
    /// `transaction_timeout`, from version 17 on.
    pub(crate) transaction_timeout: bool,
    /// `client_connection_check_interval`, not on Windows.
    pub(crate) client_connection_check: bool,
    /// What it is told of silent networks.
    pub(crate) liveness: Liveness,
}

/// How many locks have room in the server's lock table at the least.
const LOCK_TABLE: &str = "pg_catalog.current_setting('max_locks_per_transaction')::bigint \
     * (pg_catalog.current_setting('max_connections')::bigint + pg_catalog.current_setting('max_prepared_transactions')::bigint)";

/// The first words on a new session of pglock's own, one round trip. Two rows: of facts, and whether
/// the lock that the first one took is seen.
///
/// On the backend that was `announced` when the session began, a session for session locks is set up as well.
pub(crate) fn probe(scope: Scope, announced: i32, liveness: Liveness) -> String {
    let facts = format!(
        "SELECT pg_catalog.pg_backend_pid(), (SELECT {} FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()), \
         pg_catalog.current_setting('server_version_num')::int >= 170000, {CAN_LOOK_FOR_CLIENT}, pg_catalog.pg_is_in_recovery(), \
         pg_catalog.pg_try_advisory_xact_lock_shared({}), \
         pg_catalog.current_setting('server_version_num')::int >= 140000, {LOCK_TABLE}; \
         SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND granted AND {})",
        microseconds("backend_start"),
        arguments(SEEN),
        is_lock(SEEN)
    );
    match scope {
        Scope::Session => format!("{facts}; {}", set_up(announced, liveness)),
        // Behind a pooler a setting of the session would stay with the pool's next client.
        Scope::Transaction => facts,
    }
}

/// The lock that shows whether the server takes locks at all, for the length of a statement and shared; it spells `pglock?`.
const SEEN: Key = Key::Big(i64::from_be_bytes(*b"\0pglock?"));

/// The end of every timeout that could end a session for session locks, and a look every second for a client that is
/// gone; on another backend nothing, and no row.
///
/// Those names come from `pg_settings`, since they differ between versions.
pub(crate) fn set_up(pid: i32, liveness: Liveness) -> String {
    format!(
        "SELECT pg_catalog.set_config(name, CASE name WHEN 'client_connection_check_interval' THEN '1000' {} \
         WHEN 'idle_session_timeout' THEN '{}' ELSE '0' END, false) \
         FROM pg_catalog.pg_settings WHERE (name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', \
         'idle_session_timeout', 'transaction_timeout', 'tcp_keepalives_idle', 'tcp_keepalives_interval', \
         'tcp_keepalives_count', 'tcp_user_timeout') \
         OR name = 'client_connection_check_interval' AND {CAN_LOOK_FOR_CLIENT}){}",
        liveness
            .server_settings()
            .map(|(name, value)| format!("WHEN '{name}' THEN '{value}'"))
            .join(" "),
        lease(liveness),
        on_backend(Some(pid))
    )
}

/// Which backend speaks.
pub(crate) const BACKEND_PID: &str = "SELECT pg_catalog.pg_backend_pid()";

/// Takes a lock for the length of a transaction that it begins.
pub(crate) fn begin_and_try(key: Key) -> String {
    format!("BEGIN; {}", try_once(key))
}

/// Takes a lock for the length of the statement.
pub(crate) fn try_once(key: Key) -> String {
    format!(
        "SELECT pg_catalog.pg_try_advisory_xact_lock({})",
        arguments(key)
    )
}

/// Milliseconds after which the server ends a session that says nothing; 0 is never.
pub(super) fn lease(liveness: Liveness) -> u128 {
    liveness.lease().map_or(0, |lease| lease.as_millis())
}

/// Asks a session that holds locks whether there is a server. A comment only, which says for how long the locks are held: it
/// takes the place of the statement that took them in `pg_stat_activity`.
// Input:  [(Key::Big(42), 3 s)]
// Output: /* pglock holds k42 3000 ms */
pub(crate) fn heartbeat(held: &[(Key, Duration)]) -> String {
    let held: Vec<String> = held
        .iter()
        .map(|(key, time)| format!("{} {} ms", mark(*key), time.as_millis()))
        .collect();
    format!("/* pglock holds {} */", held.join(", "))
}

/// A lock in a heartbeat. Nothing in it has a meaning in a regular expression.
pub(super) fn mark(key: Key) -> String {
    match key {
        Key::Big(key) => format!("k{key}"),
        Key::Pair(first, second) => format!("p{first},{second}"),
    }
}
