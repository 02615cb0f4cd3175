//! The SQL text of the graph: who holds and who waits for each lock that is waited for. Pure.
//!
//! [`crate::sql`] says how names are written.

use crate::model::table::TableName;
use crate::sql::parts::{THIS_DATABASE, microseconds};
use crate::sql::{Statement, Values, lossy};
use crate::view::fields::COLUMNS_OF_A_LOCK;
use crate::view::sql::{
    RELATION, activity, columns, lock_columns, of_this_database, row_waits, wanted,
};

/// Which components of the graph to fetch.
#[derive(Clone, Debug, Default)]
pub(super) struct GraphQuery {
    pub(super) pids: Option<Vec<i32>>,
    pub(super) tables: Option<Vec<TableName>>,
}

/// The columns of a row after those of its lock and session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Equal in two rows about the same lock.
    Tag,
    /// Of a lock that is waited for: the pids that block the waiter.
    Blockers,
    /// Whether the session still waited after the server had named the blockers of all waiters.
    StillWaits,
    /// Distinguishes prepared transactions, which have no pid.
    Transaction,
    Gid,
    Owner,
    Database,
    PreparedAt,
    /// The first of the marks: booleans. A component is fetched if each mark is true of some row in it.
    Marks,
}

impl Column {
    /// The column's number in the row.
    pub(super) fn index(self) -> usize {
        COLUMNS_OF_A_LOCK + self as usize
    }
}

/// The locks that are waited for: a row for each session that holds one or waits for it.
///
/// All locks are read at once. Then the server is asked for the blockers of each waiter, one after another while the
/// locks change, so these answers are from different moments. Therefore the waits are read once more at the end, and
/// `build.rs` trusts the order of a queue only among sessions that still wait.
// Output: WITH activity AS .., seen AS .., row_wait AS .., lock AS .., waiter AS .., again AS .., prepared AS ..
//         SELECT .., l.tag, q.blockers, (g.pid IS NOT NULL)::pg_catalog.text, .., l.mark0::pg_catalog.text
//         FROM lock l LEFT JOIN activity a ON .. LEFT JOIN waiter q ON .. LEFT JOIN again g ON .. LEFT JOIN prepared p ON ..
pub(super) fn fetch(query: &GraphQuery) -> Statement {
    let mut values = Values::default();
    let wanted = match &query.tables {
        Some(tables) => format!("{}, ", wanted(&values.bind_tables(tables))),
        None => String::new(),
    };
    let marks: Vec<String> = marks(query, &mut values)
        .iter()
        .enumerate()
        .map(|(nth, mark)| format!("({mark}) IS TRUE AS mark{nth}"))
        .collect();
    let mark_columns: Vec<String> = (0..marks.len())
        .map(|nth| format!("l.mark{nth}::pg_catalog.text"))
        .collect();
    let sql = format!(
        "WITH {wanted}{activity}, \
         seen AS MATERIALIZED (SELECT coalesce(a.leader_pid, l.pid) AS pid, l.pid AS backend, l.virtualtransaction, \
         l.locktype, l.database, l.transactionid, l.classid, l.objid, l.objsubid, l.mode, l.granted, l.waitstart, \
         CASE WHEN coalesce(l.database, 0) IN (0, {THIS_DATABASE}) THEN l.relation END AS relation, \
         ROW(l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, \
         l.classid, l.objid, l.objsubid)::pg_catalog.text AS tag \
         FROM pg_catalog.pg_locks l LEFT JOIN activity a ON a.pid = l.pid), \
         {row_waits}, \
         lock AS MATERIALIZED (SELECT {lock_columns}, l.tag, l.backend, l.virtualtransaction, {marks} \
         FROM seen l {RELATION} WHERE l.tag IN (SELECT w.tag FROM seen w WHERE NOT w.granted)), \
         waiter AS MATERIALIZED (SELECT w.backend, pg_catalog.pg_blocking_pids(w.backend)::pg_catalog.text AS blockers \
         FROM seen w WHERE NOT w.granted), \
         again AS MATERIALIZED (SELECT g.pid, g.waitstart FROM pg_catalog.pg_locks g \
         WHERE NOT g.granted AND (SELECT pg_catalog.count(*) FROM waiter) > 0), \
         prepared AS (SELECT o.virtualtransaction, p.gid, p.owner, p.database, p.prepared \
         FROM seen o JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = o.transactionid \
         WHERE o.pid IS NULL AND o.granted) \
         SELECT {columns}, l.tag, q.blockers, (g.pid IS NOT NULL)::pg_catalog.text, \
         l.virtualtransaction, {gid}, {owner}, {database}, \
         {prepared}::pg_catalog.text, {mark_columns} \
         FROM lock l LEFT JOIN activity a ON a.pid = l.pid \
         LEFT JOIN waiter q ON NOT l.granted AND q.backend = l.backend \
         LEFT JOIN again g ON NOT l.granted AND g.pid = l.backend AND g.waitstart = l.wait_start \
         LEFT JOIN prepared p ON l.pid = 0 AND p.virtualtransaction = l.virtualtransaction \
         ORDER BY l.granted, l.wait_duration DESC NULLS LAST, l.pid, p.gid, l.kind, l.schema, l.rel_name, l.mode",
        gid = of_prepared("p.gid"),
        owner = of_prepared("p.owner::pg_catalog.text"),
        database = of_prepared("p.database::pg_catalog.text"),
        prepared = microseconds("p.prepared"),
        activity = activity(),
        row_waits = row_waits(),
        lock_columns = lock_columns(),
        columns = columns(),
        marks = marks.join(", "),
        mark_columns = mark_columns.join(", "),
    );
    (sql, values.into_inner())
}

/// A text of the prepared transaction `p`, which may be from a database of another encoding.
fn of_prepared(text: &str) -> String {
    lossy::sent(text, "p.database = pg_catalog.current_database()")
}

/// The conditions of the marks on a row `l` of `seen`.
// Input:  pid([7])
// Output: [(l.database = .. OR ..), coalesce(l.pid, 0) = ANY ($1::int[]) OR l.backend = ANY ($1::int[])]
fn marks(query: &GraphQuery, values: &mut Values) -> Vec<String> {
    let mut marks = vec![of_this_database()];
    if let Some(pids) = &query.pids {
        let pids = values.bind_pids(pids);
        marks.push(format!(
            "coalesce(l.pid, 0) = ANY ({pids}) OR l.backend = ANY ({pids})"
        ));
    }
    if query.tables.is_some() {
        // A session that waits for a row waits for a transaction; the table shows in another of its locks.
        marks.push(
            "l.virtualtransaction IN (SELECT s.virtualtransaction FROM seen s JOIN wanted w ON w.oid = s.relation)"
                .to_owned(),
        );
    }
    marks
}
