//! Setting up pglock's own sessions, checking them, and keeping them alive.

use super::parts::{CAN_LOOK_FOR_CLIENT, arguments, is_lock, microseconds, on_backend};
use crate::model::liveness::Liveness;
use crate::model::lock_id::Key;
use crate::model::options::Scope;

/// Settings that not every server has; setting an unknown one is an error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerFeatures {
    /// `transaction_timeout`, from version 17 on.
    pub(crate) transaction_timeout: bool,
    /// `client_connection_check_interval`, not on Windows.
    pub(crate) client_connection_check: bool,
    /// The limits for a silent network.
    pub(crate) liveness: Liveness,
}

/// How many locks fit into the server's lock table at least.
const LOCK_TABLE: &str = "pg_catalog.current_setting('max_locks_per_transaction')::bigint \
     * (pg_catalog.current_setting('max_connections')::bigint + pg_catalog.current_setting('max_prepared_transactions')::bigint)";

/// Checks a new session of pglock's own, in one round trip. Two rows: facts about the server, and whether `pg_locks` shows
/// the lock that the first statement acquired.
///
/// A session for session locks is also set up, if it is on the backend that was `announced` when it connected.
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
        // Behind a pooler a setting of the session would leak to the pool's next client.
        Scope::Transaction => facts,
    }
}

/// The lock that tests whether the server really locks: shared, and only for one statement. Its bytes spell `pglock?`.
const SEEN: Key = Key::Big(i64::from_be_bytes(*b"\0pglock?"));

/// Turns off every timeout that could end a session for session locks, and lets the server check every second that the
/// client is connected. On another backend it does nothing and returns no row.
///
/// `pg_settings` supplies the names, since a name that this version of the server lacks would be an error.
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

/// Whether the server is a primary.
pub(crate) const IS_PRIMARY: &str = "SELECT NOT pg_catalog.pg_is_in_recovery()";

/// Whether sessions of the server may write.
pub(crate) const IS_READ_WRITE: &str =
    "SELECT NOT pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool";

/// Whether sessions of the server may only read.
pub(crate) const IS_READ_ONLY: &str =
    "SELECT pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool";

/// The pid of the backend that answers.
pub(crate) const BACKEND_PID: &str = "SELECT pg_catalog.pg_backend_pid()";

/// Tries for a lock in a transaction that it begins.
pub(crate) fn begin_and_try(key: Key) -> String {
    format!("BEGIN; {}", try_once(key))
}

/// Tries for a lock that ends with the statement.
pub(crate) fn try_once(key: Key) -> String {
    format!(
        "SELECT pg_catalog.pg_try_advisory_xact_lock({})",
        arguments(key)
    )
}

/// Milliseconds after which the server ends a silent session; 0 is never.
pub(super) fn lease(liveness: Liveness) -> u128 {
    liveness.lease().map_or(0, |lease| lease.as_millis())
}
