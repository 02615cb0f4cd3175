//! The SQL text of the graph: who holds and who waits for each lock that somebody waits for. Pure.
//!
//! How names are written, [`crate::sql`] says.

use crate::model::table::TableName;
use crate::sql::parts::{THIS_DATABASE, microseconds};
use crate::sql::{Statement, Values};
use crate::view::fields::COLUMNS_OF_A_LOCK;
use crate::view::sql::{RELATION, activity, columns, lock_columns, of_this_database};

/// Which parts of the graph are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct GraphQuery {
    pub(super) pids: Option<Vec<i32>>,
    pub(super) tables: Option<Vec<TableName>>,
}

/// What a row has behind the columns of its lock and session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// The same for two rows about the same lock.
    Tag,
    /// Of a lock that is waited for: the pids in the way.
    Blockers,
    /// Whether the wait went on until the server had told all blockers of all waiters.
    StillWaits,
    /// Tells prepared transactions, which have no pid, from each other.
    Transaction,
    Gid,
    Owner,
    Database,
    PreparedAt,
    /// The first of the marks: booleans. A part of the graph is asked for that has each of them somewhere in it.
    Marks,
}

impl Column {
    pub(super) fn place(self) -> usize {
        COLUMNS_OF_A_LOCK + self as usize
    }
}

/// The locks that somebody waits for: a row for each session that holds one, or waits for it.
///
/// All locks are read at once. Then the server is asked for the blockers of each waiter, one after the other while the
/// locks change, so its answers are not of one moment; `build.rs` takes of them what is. For that the waits are looked at
/// once more in the end.
pub(super) fn fetch(asked: &GraphQuery) -> Statement {
    let mut values = Values::default();
    let marks: Vec<String> = marks(asked, &mut values)
        .iter()
        .enumerate()
        .map(|(nth, mark)| format!("({mark}) IS TRUE AS mark{nth}"))
        .collect();
    let mark_columns: Vec<String> = (0..marks.len())
        .map(|nth| format!("l.mark{nth}::pg_catalog.text"))
        .collect();
    let sql = format!(
        "WITH {activity}, \
         seen AS MATERIALIZED (SELECT coalesce(a.leader_pid, l.pid) AS pid, l.pid AS backend, l.virtualtransaction, \
         l.locktype, l.database, l.transactionid, l.classid, l.objid, l.objsubid, l.mode, l.granted, l.waitstart, \
         CASE WHEN coalesce(l.database, 0) IN (0, {THIS_DATABASE}) THEN l.relation END AS relation, \
         ROW(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, \
         l.classid, l.objid, l.objsubid)::pg_catalog.text AS tag \
         FROM pg_catalog.pg_locks l LEFT JOIN activity a ON a.pid = l.pid), \
         lock AS MATERIALIZED (SELECT {lock_columns}, l.tag, l.backend, l.virtualtransaction, {marks} \
         FROM seen l {RELATION} WHERE l.tag IN (SELECT w.tag FROM seen w WHERE NOT w.granted)), \
         asked AS MATERIALIZED (SELECT w.backend, pg_catalog.pg_blocking_pids(w.backend)::pg_catalog.text AS blockers \
         FROM seen w WHERE NOT w.granted), \
         again AS MATERIALIZED (SELECT g.pid, g.waitstart FROM pg_catalog.pg_locks g \
         WHERE NOT g.granted AND (SELECT pg_catalog.count(*) FROM asked) > 0), \
         prepared AS (SELECT o.virtualtransaction, p.gid, p.owner, p.database, p.prepared \
         FROM seen o JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = o.transactionid \
         WHERE o.pid IS NULL AND o.granted) \
         SELECT {columns}, l.tag, q.blockers, (g.pid IS NOT NULL)::pg_catalog.text, \
         l.virtualtransaction, p.gid, p.owner::pg_catalog.text, p.database::pg_catalog.text, \
         {prepared}::pg_catalog.text, {mark_columns} \
         FROM lock l LEFT JOIN activity a ON a.pid = l.pid \
         LEFT JOIN asked q ON NOT l.granted AND q.backend = l.backend \
         LEFT JOIN again g ON NOT l.granted AND g.pid = l.backend AND g.waitstart = l.wait_start \
         LEFT JOIN prepared p ON l.pid = 0 AND p.virtualtransaction = l.virtualtransaction \
         ORDER BY l.granted, l.wait_duration DESC NULLS LAST, l.pid, p.gid, l.kind, l.schema, l.rel_name, l.mode",
        prepared = microseconds("p.prepared"),
        activity = activity(),
        lock_columns = lock_columns(),
        columns = columns(false),
        marks = marks.join(", "),
        mark_columns = mark_columns.join(", "),
    );
    (sql, values.into_inner())
}

fn marks(asked: &GraphQuery, values: &mut Values) -> Vec<String> {
    let mut marks = vec![of_this_database()];
    if let Some(pids) = &asked.pids {
        let pids = values.bind_pids(pids);
        marks.push(format!(
            "coalesce(l.pid, 0) = ANY ({pids}) OR l.backend = ANY ({pids})"
        ));
    }
    if let Some(tables) = &asked.tables {
        // Who waits for a row waits for a transaction, and it is by another lock that we see in which table.
        let tables = values.bind_tables(tables);
        marks.push(format!(
            "l.virtualtransaction IN (SELECT s.virtualtransaction FROM seen s WHERE s.relation = ANY ({tables}))"
        ));
    }
    marks
}
