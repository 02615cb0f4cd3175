//! Fragments that several statements share.

use crate::model::lock_id::Key;
use crate::model::options::{AdvisoryMode, WaitPolicy};

/// True outside a transaction only: inside one, `now()` is the time at which it began. A statement with this condition
/// returns no row, and calls no function of its `SELECT`, inside a transaction.
pub(super) const OUTSIDE_A_TRANSACTION: &str =
    "WHERE pg_catalog.now() = pg_catalog.statement_timestamp()";

/// The opposite of [`OUTSIDE_A_TRANSACTION`], as a value.
pub(super) const IN_A_TRANSACTION: &str = "pg_catalog.now() <> pg_catalog.statement_timestamp()";

/// The name `transaction_timeout` where the server has it (17 and later), else of a setting that is 0 already.
pub(super) const TRANSACTION_TIMEOUT: &str = "CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 170000 \
     THEN 'transaction_timeout' ELSE 'statement_timeout' END";

/// Whether the server can check that a client is still connected: in version 14 on Linux only, never on Windows.
pub(super) const CAN_LOOK_FOR_CLIENT: &str = "(pg_catalog.current_setting('server_version_num')::int \
     >= CASE WHEN pg_catalog.version() ~* 'linux' THEN 140000 ELSE 150000 END AND pg_catalog.version() !~* 'visual c|mingw|msvc')";

/// True on backend `pid` only, so that nothing is done after a pooler has moved our session to another backend.
pub(super) fn on_backend(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" AND pg_catalog.pg_backend_pid() = {pid}"))
        .unwrap_or_default()
}

/// The key as arguments of the advisory lock functions; quoted, since `-9223372036854775808` can't be cast unquoted.
pub(super) fn arguments(key: Key) -> String {
    match key {
        Key::Big(key) => format!("'{key}'::bigint"),
        Key::Pair(first, second) => format!("'{first}'::int, '{second}'::int"),
    }
}

pub(super) fn suffix(mode: AdvisoryMode) -> &'static str {
    match mode {
        AdvisoryMode::Exclusive => "",
        AdvisoryMode::Shared => "_shared",
    }
}

/// The name of the mode in `pg_locks`.
pub(super) fn pg_locks_mode(mode: AdvisoryMode) -> &'static str {
    match mode {
        AdvisoryMode::Exclusive => "ExclusiveLock",
        AdvisoryMode::Shared => "ShareLock",
    }
}

/// `lock_timeout` in milliseconds; 0 means without a limit.
pub(super) fn lock_timeout(wait: WaitPolicy) -> i32 {
    match wait {
        WaitPolicy::Millis(millis) => millis,
        WaitPolicy::NoWait | WaitPolicy::Block => 0,
    }
}

/// A condition on `pg_locks`: this lock, in this database.
pub(crate) fn is_lock(key: Key) -> String {
    let (classid, objid) = key.pg_locks_columns();
    format!(
        "locktype = 'advisory' AND database = {THIS_DATABASE} \
         AND classid = '{classid}' AND objid = '{objid}' AND objsubid = {}",
        key.objsubid()
    )
}

/// Whether our role may signal the session `s` of `pg_stat_activity`: `superuser` says whether we are one, `role` is the
/// session's row in `pg_roles`. Only superusers may signal a superuser's session.
pub(crate) fn may_signal(superuser: &str, role: &str) -> String {
    format!(
        "({superuser} OR s.usesysid IS NOT NULL AND {role}.rolsuper IS FALSE \
         AND (pg_catalog.pg_has_role(s.usesysid, 'USAGE') OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')))"
    )
}

/// Microseconds since 1970, from a column such as `backend_start`; independent of the session's time zone.
pub(crate) fn microseconds(column: &str) -> String {
    format!("(extract(epoch FROM {column}) * 1000000::numeric)::bigint")
}

/// Clears the snapshot of `pg_stat_activity`, which Postgres otherwise keeps until the transaction ends. An empty text.
pub(crate) const CLEAR_ACTIVITY_SNAPSHOT: &str =
    "pg_catalog.pg_stat_clear_snapshot()::pg_catalog.text";

/// A state or type of `pg_stat_activity` as django-pglock writes it: `IDLE_IN_TRANSACTION`.
// Input:  s.state
// Output: pg_catalog.upper(pg_catalog.replace(s.state, ' ', '_') COLLATE pg_catalog."C")
pub(crate) fn upper_snake(column: &str) -> String {
    format!("pg_catalog.upper(pg_catalog.replace({column}, ' ', '_') COLLATE pg_catalog.\"C\")")
}

/// The OID of the database of this session.
pub(crate) const THIS_DATABASE: &str =
    "(SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())";

/// The statement in a column of `pg_stat_activity`; NULL where our role may not see it.
// Input:  s.query
// Output: nullif(s.query, '<insufficient privilege>')
pub(crate) fn visible_query(column: &str) -> String {
    format!("nullif({column}, '<insufficient privilege>')")
}

/// Of these tables, the OIDs of all relations whose locks concern them: their own, those of their partitions and children,
/// and those of what a view among them reads, all the way down.
// Input:  ARRAY[pg_catalog.to_regclass($1)]::pg_catalog.oid[]
// Output: WITH RECURSIVE below(oid) AS (SELECT .. UNION SELECT ..) SELECT b.oid FROM below b
pub(crate) fn and_below(tables: &str) -> String {
    format!(
        "WITH RECURSIVE below(oid) AS (SELECT t.oid FROM pg_catalog.unnest({tables}) t(oid) UNION \
         SELECT n.oid FROM below b CROSS JOIN LATERAL (\
         SELECT i.inhrelid FROM pg_catalog.pg_inherits i WHERE i.inhparent = b.oid UNION ALL \
         SELECT d.refobjid FROM pg_catalog.pg_class v JOIN pg_catalog.pg_rewrite w ON w.ev_class = v.oid \
         JOIN pg_catalog.pg_depend d ON d.classid = {of_rules} AND d.objid = w.oid AND d.refclassid = {of_relations} \
         WHERE v.oid = b.oid AND v.relkind = 'v') n(oid)) SELECT b.oid FROM below b",
        of_rules = "'pg_catalog.pg_rewrite'::pg_catalog.regclass::pg_catalog.oid",
        of_relations = "'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid",
    )
}

/// A text as a literal that does not depend on `standard_conforming_strings`.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_keep_what_is_in_them() {
        assert_eq!(literal(r"it's \ here"), r"E'it''s \\ here'");
    }

    #[test]
    fn keys_are_written_as_quoted_integers() {
        assert_eq!(
            arguments(Key::Big(i64::MIN)),
            "'-9223372036854775808'::bigint"
        );
        assert_eq!(arguments(Key::Pair(-1, 2)), "'-1'::int, '2'::int");
    }
}
