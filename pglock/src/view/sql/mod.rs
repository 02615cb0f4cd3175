//! The SQL that lists locks, and signals the sessions of what it lists. Values are bound, as text.
//!
//! [`crate::sql`] says how names are written, so that a `search_path` cannot change their meaning.

mod row_waits;
mod signal;

use std::fmt::Write as _;

use super::enums::{LockMode, RelKind};
use super::fields::{self, ColumnType, Entity, Field};
use super::filter::Condition;
use crate::model::table::TableName;
use crate::sql::parts::{
    CLEAR_ACTIVITY_SNAPSHOT, THIS_DATABASE, and_below, microseconds, upper_snake, visible_query,
};
use crate::sql::{Statement, Values, lossy};

use row_waits::IS_ON_WANTED;
pub(crate) use row_waits::{RELATION, row_waits};
pub(crate) use signal::{IS_IDLE, Signal, SignalColumn, VERDICT, session, signal};

/// The locks to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocksQuery {
    pub(crate) pids: Option<Vec<i32>>,
    /// Only locks that the sessions with these pids wait for.
    pub(crate) waiting: Option<Vec<i32>>,
    pub(crate) tables: Option<Vec<TableName>>,
    pub(crate) granted: Option<bool>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) limit: Option<u32>,
}

/// Finds the names without a relation: a row for each.
// Input:  [orders]
// Output: SELECT t.name FROM (VALUES ($1)) t(name) WHERE pg_catalog.to_regclass(t.name) IS NULL
pub(crate) fn unknown_tables(tables: &[TableName]) -> Statement {
    let mut values = Values::default();
    let names: Vec<String> = tables
        .iter()
        .map(|table| format!("({})", values.bind(table.to_string())))
        .collect();
    let sql = format!(
        "SELECT t.name FROM (VALUES {}) t(name) WHERE pg_catalog.to_regclass(t.name) IS NULL",
        names.join(", ")
    );
    (sql, values.into_inner())
}

/// Lists the locks: a row for each, or with `blocked` for each of their blockers, in their order; and then a row for each of
/// their sessions, since one can have thousands of locks. Both have all columns of [`columns`], those of the other empty, and
/// behind them the pid of the blocker.
// Output: WITH activity AS .., lock AS .., found AS MATERIALIZED (SELECT l.* FROM lock l LEFT JOIN activity a ON a.pid = l.pid ORDER BY ..)
//         SELECT l.pid::pg_catalog.text, .., NULL::pg_catalog.text, .. FROM found l
//         UNION ALL SELECT NULL::pg_catalog.text, .., a.pid::pg_catalog.text, .. FROM activity a WHERE a.pid IN (..)
pub(crate) fn fetch(query: &LocksQuery, blocked: bool) -> Statement {
    let mut values = Values::default();
    let ctes = ctes(query, blocked, &mut values);
    let (what, of_blocker, and_blockers) = if blocked {
        (
            "l.*, x.pid AS blocker",
            "l.blocker::pg_catalog.text",
            " UNION ALL SELECT f.blocker FROM found f",
        )
    } else {
        ("l.*", NOTHING, "")
    };
    let found = found(what, query, blocked, &mut values);
    let [of_locks, of_sessions] =
        [Entity::Lock, Entity::Activity].map(|of| columns_of(of).join(", "));
    let no_lock = [NOTHING; fields::LOCK.len()].join(", ");
    let no_session = [NOTHING; fields::ACTIVITY.len()].join(", ");
    // The rows of a CTE, and of the parts of a `UNION ALL`, come in their order.
    let sql = format!(
        "WITH {ctes}, found AS MATERIALIZED ({found}) \
         SELECT {of_locks}, {no_session}, {of_blocker} FROM found l \
         UNION ALL SELECT {no_lock}, {of_sessions}, {NOTHING} FROM activity a CROSS JOIN LATERAL (SELECT a.pid) l \
         WHERE a.pid IN (SELECT f.pid FROM found f{and_blockers})"
    );
    (sql, values.into_inner())
}

const NOTHING: &str = "NULL::pg_catalog.text";

/// CTEs, of which `found` has the pid of each session that blocks one of the locks.
// Output: activity AS .., lock AS .., found AS MATERIALIZED (SELECT DISTINCT f.pid FROM (SELECT x.pid FROM lock l ..) f(pid))
pub(crate) fn blockers_found(query: &LocksQuery, values: &mut Values) -> String {
    let ctes = ctes(query, true, values);
    let found = found("x.pid", query, true, values);
    format!("{ctes}, found AS MATERIALIZED (SELECT DISTINCT f.pid FROM ({found}) f(pid))")
}

/// The columns of a row, all as text: of the lock, and of its session. Times are in microseconds, texts as [`lossy::sent`]
/// sends them.
// Output: l.pid::pg_catalog.text, l."kind"::pg_catalog.text, .., l.pid::pg_catalog.text, .., a."client_port"::pg_catalog.text
pub(crate) fn columns() -> String {
    let of = [Entity::Lock, Entity::Activity];
    of.map(columns_of).concat().join(", ")
}

fn columns_of(of: Entity) -> Vec<String> {
    let fields = of.fields().iter();
    fields.map(|field| as_text(of, field)).collect()
}

fn as_text(of: Entity, field: &Field) -> String {
    let column = of.column(field);
    match field.column_type {
        ColumnType::Duration | ColumnType::Time => {
            format!("{}::pg_catalog.text", microseconds(&column))
        }
        ColumnType::Text => lossy::sent(&column, of.is_readable()),
        ColumnType::Enum(_) | ColumnType::Int | ColumnType::Bool => {
            format!("{column}::pg_catalog.text")
        }
    }
}

/// The query over the CTEs: `l` is the lock, `a` its session, `x` the pid of a blocker, and `b` the session of that.
// Input:  x.pid, blocked, with the filter pid=7
// Output: SELECT x.pid FROM lock l LEFT JOIN activity a ON a.pid = l.pid
//         CROSS JOIN LATERAL (SELECT .. pg_catalog.pg_blocking_pids(l.pid) ..) x LEFT JOIN activity b ON b.pid = x.pid
//         WHERE l.pid = $1::bigint ORDER BY l.granted, .., x.pid
fn found(columns: &str, query: &LocksQuery, blocked: bool, values: &mut Values) -> String {
    let blockers = if blocked {
        "CROSS JOIN LATERAL (SELECT DISTINCT p.pid FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids(l.pid)) p(pid)) x \
         LEFT JOIN activity b ON b.pid = x.pid"
    } else {
        ""
    };
    let mut sql =
        format!("SELECT {columns} FROM lock l LEFT JOIN activity a ON a.pid = l.pid {blockers}");
    for (nth, condition) in query.conditions.iter().enumerate() {
        let word = if nth == 0 { "WHERE" } else { "AND" };
        let _ = write!(sql, " {word} {}", condition.sql(values));
    }
    sql.push_str(
        " ORDER BY l.granted, l.wait_duration DESC NULLS LAST, a.duration DESC NULLS LAST, \
         l.pid, l.kind, l.schema, l.rel_name, l.mode",
    );
    if blocked {
        sql.push_str(", x.pid");
    }
    if let Some(limit) = query.limit {
        let _ = write!(sql, " LIMIT {limit}");
    }
    sql
}

/// The CTEs `activity` and `lock`: the sessions, and the locks of this database, with the columns of `fields.rs`. Between
/// them are those of [`row_waits`].
// Input:  granted(false)
// Output: activity AS MATERIALIZED (..), seen AS .., row_wait AS .., lock AS MATERIALIZED (SELECT .. WHERE (l.database = ..) AND l.granted = false)
fn ctes(query: &LocksQuery, blocked: bool, values: &mut Values) -> String {
    let mut only = Vec::new();
    if blocked {
        only.push("NOT l.granted".to_owned());
    }
    if let Some(granted) = query.granted {
        only.push(format!("l.granted = {granted}"));
    }
    if let Some(pids) = &query.pids {
        let pids = values.bind_pids(pids);
        only.push(if blocked {
            // The locks that they wait for, and those that their blockers wait for.
            format!(
                "l.pid IN (SELECT p.pid FROM pg_catalog.unnest({pids}) p(pid) UNION \
                 SELECT q.pid FROM pg_catalog.unnest({pids}) p(pid), pg_catalog.unnest(pg_catalog.pg_blocking_pids(p.pid)) q(pid))"
            )
        } else {
            format!("coalesce(l.pid, 0) = ANY ({pids})")
        });
    }
    if let Some(pids) = &query.waiting {
        let pids = values.bind_pids(pids);
        only.push(format!("NOT l.granted AND l.pid = ANY ({pids})"));
    }
    let wanted = match &query.tables {
        Some(tables) => {
            only.push(IS_ON_WANTED.to_owned());
            format!("{}, ", wanted(&values.bind_tables(tables)))
        }
        None => String::new(),
    };
    only.insert(0, of_this_database());
    format!(
        "{wanted}{}, seen AS MATERIALIZED (SELECT l.* FROM pg_catalog.pg_locks l), {}, {}",
        activity(),
        row_waits(),
        lock(&only.join(" AND "))
    )
}

/// The CTE of the relations that a query for these tables is about.
// Input:  ARRAY[pg_catalog.to_regclass($1)]::pg_catalog.oid[]
// Output: wanted AS MATERIALIZED (WITH RECURSIVE ..)
pub(crate) fn wanted(tables: &str) -> String {
    format!("wanted AS MATERIALIZED ({})", and_below(tables))
}

/// The context that django-pgactivity puts before a statement.
const CONTEXT: &str = "^/[*]pga_context=([{][^*]*[}])[*]/";

/// The beginning of it.
const BEGIN_OF_CONTEXT: &str = "/*pga_context={";

/// Whether the texts of the session `s` are valid in the encoding of this database.
const IS_READABLE: &str = "coalesce(s.datid IN (SELECT d.oid FROM pg_catalog.pg_database d \
     WHERE d.encoding = pg_catalog.pg_char_to_encoding(pg_catalog.getdatabaseencoding())), true)";

/// The CTE of the sessions.
// Output: activity AS MATERIALIZED (SELECT s.pid, .., nullif(.., '<insufficient privilege>') .. AS query, ..
//         FROM pg_catalog.pg_stat_activity s WHERE (SELECT pg_catalog.pg_stat_clear_snapshot()::pg_catalog.text) = '')
pub(crate) fn activity() -> String {
    format!(
        "activity AS MATERIALIZED (SELECT s.pid, s.datname, {IS_READABLE} AS is_readable, {LEADER} AS leader_pid, \
         s.query_start AS start, {duration} AS duration, \
         CASE WHEN {has_context} THEN pg_catalog.regexp_replace({query}, '{CONTEXT}' || pg_catalog.chr(10) || '?', '') ELSE {query} END AS query, \
         CASE WHEN {has_context} THEN (pg_catalog.regexp_match({query}, '{CONTEXT}'))[1] END AS context, \
         {state} AS state, \
         s.xact_start, s.backend_start, s.state_change, \
         {wait_event_type} AS wait_event_type, {wait_event} AS wait_event, \
         s.backend_xid::pg_catalog.text, s.backend_xmin::pg_catalog.text, \
         {backend_type} AS backend_type, \
         s.application_name, s.usename::pg_catalog.text AS \"user\", \
         pg_catalog.host(s.client_addr) AS client_addr, s.client_hostname, s.client_port \
         FROM pg_catalog.pg_stat_activity s WHERE (SELECT {CLEAR_ACTIVITY_SNAPSHOT}) = '')",
        duration = since("s.query_start"),
        has_context =
            format_args!("{IS_READABLE} AND pg_catalog.starts_with(s.query, '{BEGIN_OF_CONTEXT}')"),
        query = visible_query("s.query"),
        state = upper_snake("s.state"),
        backend_type = upper_snake("s.backend_type"),
        wait_event_type = snake("s.wait_event_type"),
        wait_event = snake("s.wait_event"),
    )
}

/// The session that a parallel worker works for. A worker that applies a subscription also has a leader, but waits on its
/// own account.
const LEADER: &str = "CASE s.backend_type WHEN 'parallel worker' THEN s.leader_pid END";

/// Limits `l` to this database. Locks without a database count if their session, or prepared transaction, is in this one.
/// Up to Postgres 15 `spectoken` has the number of a transaction in its place.
// Output: (l.database = (SELECT ..) OR (coalesce(l.database, '0') = '0' OR ..) AND (l.pid IN (..) OR l.transactionid.. IN (..)))
pub(crate) fn of_this_database() -> String {
    format!(
        "(l.database = {THIS_DATABASE} AND l.locktype <> 'spectoken' OR (coalesce(l.database, '0') = '0' OR l.locktype = 'spectoken') AND (\
         l.pid IN (SELECT s.pid FROM activity s WHERE s.datname = pg_catalog.current_database()) \
         OR l.transactionid::pg_catalog.text IN (SELECT p.transaction::pg_catalog.text FROM pg_catalog.pg_prepared_xacts p WHERE p.database = pg_catalog.current_database())))"
    )
}

// Input:  NOT l.granted
// Output: lock AS MATERIALIZED (SELECT .. FROM seen l LEFT JOIN .. WHERE NOT l.granted)
fn lock(only: &str) -> String {
    format!(
        "lock AS MATERIALIZED (SELECT {} FROM seen l {RELATION} WHERE {only})",
        lock_columns()
    )
}

/// The columns of a lock in `fields.rs`, from a row `l` of `pg_locks` and its [`RELATION`].
// Output: coalesce(l.pid, 0) AS pid, pg_catalog.upper(l.locktype ..) AS kind, .., l.granted, ..,
//         CASE c.relkind WHEN 'r' THEN 'TABLE' .. END AS rel_kind, .., l.objsubid
pub(crate) fn lock_columns() -> String {
    let rel_kinds: Vec<String> = REL_KINDS
        .iter()
        .map(|(letter, kind)| format!("WHEN '{letter}' THEN '{kind}'"))
        .collect();
    format!(
        "coalesce(l.pid, 0) AS pid, pg_catalog.upper(l.locktype COLLATE pg_catalog.\"C\") AS kind, \
         {mode} AS mode, l.granted, l.waitstart AS wait_start, {wait_duration} AS wait_duration, \
         CASE c.relkind {rel_kinds} ELSE c.relkind::pg_catalog.text END AS rel_kind, \
         c.relname::pg_catalog.text AS rel_name, n.nspname::pg_catalog.text AS schema, \
         coalesce(l.relation, r.relation)::bigint AS rel_oid, r.relation IS NOT NULL AS rel_of_row, \
         l.classid::bigint AS classid, l.objid::bigint AS objid, l.objsubid, {object} AS object",
        object = object(),
        mode = mode(),
        wait_duration = since("l.waitstart"),
        rel_kinds = rel_kinds.join(" "),
    )
}

/// The mode of the lock `l`. Those that are known are looked up: a regular expression for each of many locks takes its time.
// Output: CASE l.mode WHEN 'AccessShareLock' THEN 'ACCESS_SHARE' .. ELSE pg_catalog.btrim(..) END
fn mode() -> String {
    let known: Vec<String> = LockMode::NAMES
        .iter()
        .map(|name| format!("WHEN '{}Lock' THEN '{name}'", camel(name)))
        .collect();
    let other = snake("pg_catalog.replace(l.mode, 'Lock', '')");
    format!("CASE l.mode {} ELSE {other} END", known.join(" "))
}

/// The opposite of [`snake`].
// Input:  ACCESS_SHARE
// Output: AccessShare
fn camel(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    words
        .flat_map(|word| [word[..1].to_owned(), word[1..].to_ascii_lowercase()])
        .collect()
}

/// What an object is called that the lock `l` is on. Of kinds that every version can describe, whatever becomes of the object
/// meanwhile: for others the server may raise an error. They are, in this order, schemas, types, functions, operators,
/// collations, languages, extensions, roles, databases, tablespaces, publications, subscriptions, foreign servers and their
/// wrappers, and event triggers.
// Output: CASE WHEN l.locktype = 'object' AND .. THEN pg_catalog.pg_describe_object(l.classid, l.objid, 0) END
fn object() -> String {
    format!(
        "CASE WHEN l.locktype = 'object' AND coalesce(l.database, '0') IN ('0', {THIS_DATABASE}) \
         AND l.classid IN ('2615', '1247', '1255', '2617', '3456', '2612', '3079', '1260', '1262', '1213', '6104', '6100', '1417', '2328', '3466') \
         THEN pg_catalog.pg_describe_object(l.classid, l.objid, 0) END"
    )
}

const REL_KINDS: [(char, RelKind); 10] = [
    ('r', RelKind::Table),
    ('i', RelKind::Index),
    ('S', RelKind::Sequence),
    ('t', RelKind::Toast),
    ('v', RelKind::View),
    ('m', RelKind::MaterializedView),
    ('c', RelKind::CompositeType),
    ('f', RelKind::ForeignTable),
    ('p', RelKind::PartitionedTable),
    ('I', RelKind::PartitionedIndex),
];

/// The time elapsed since `time`. Not by `now()`, which stays the same throughout a transaction.
// Input:  l.waitstart
// Output: CASE WHEN l.waitstart IS NOT NULL THEN greatest(pg_catalog.statement_timestamp() - l.waitstart, interval '0') END
fn since(time: &str) -> String {
    format!(
        "CASE WHEN {time} IS NOT NULL THEN greatest(pg_catalog.statement_timestamp() - {time}, interval '0') END"
    )
}

/// Converts `ClientRead` to `CLIENT_READ`, exactly as django-pglock does.
// Input:  s.wait_event
// Output: pg_catalog.btrim(pg_catalog.upper(pg_catalog.regexp_replace(s.wait_event, '([A-Z])', ..) ..), '_')
fn snake(text: &str) -> String {
    // No backslash in the text: its meaning depends on `standard_conforming_strings`.
    format!(
        "pg_catalog.btrim(pg_catalog.upper(pg_catalog.regexp_replace({text}, '([A-Z])', '_' || pg_catalog.chr(92) || '1', 'g') COLLATE pg_catalog.\"C\"), '_')"
    )
}

#[cfg(test)]
mod tests {
    use pglock_tests::database;
    use postgres::SimpleQueryMessage;

    use super::*;

    #[test]
    fn modes_that_are_looked_up_are_called_as_others_are() {
        let db = database();
        let mut client = db.connect();
        for name in LockMode::NAMES {
            let ours = format!("'{}'", camel(name));
            let called = client.query_one(&format!("SELECT {}", snake(&ours)), &[]);
            assert_eq!(called.unwrap().get::<_, String>(0), *name);
        }
    }

    #[test]
    fn a_session_comes_once_for_all_its_locks() {
        let db = database();
        let mut holder = db.connect();
        holder
            .batch_execute("SELECT pg_advisory_lock(n) FROM generate_series(1, 100) n")
            .unwrap();
        let (sql, values) = fetch(&LocksQuery::default(), false);
        assert!(values.is_empty());
        let rows = db.connect().simple_query(&sql).unwrap();
        let rows: Vec<_> = rows
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect();
        let with_key = |key: &str| rows.iter().filter(|row| row.get(12) == Some(key)).count();
        assert_eq!((with_key("1"), with_key("100")), (1, 1));
        let of_holder = pglock_tests::pid_of(&mut holder).to_string();
        let of_holder = |row: &&&postgres::SimpleQueryRow| {
            row.get(fields::LOCK.len()) == Some(of_holder.as_str())
        };
        assert_eq!(rows.iter().filter(of_holder).count(), 1);
    }
}
