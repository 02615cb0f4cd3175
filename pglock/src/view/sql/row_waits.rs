//! Whose row a session waits for. Such a session waits for the transaction that has the row, and that lock names no table.

/// The CTE of the tables with the row that a session waits for, by its `virtualtransaction`. It reads the CTE `seen`, which
/// has the locks.
///
/// Mostly the session holds a lock on the row meanwhile, which names its table. It does not where it shares the row already,
/// and where it waits for an entry in an index; then the table is one of those in which both have locked rows. `relation`
/// is the table if it can only be one.
// Output: for_xact AS MATERIALIZED (..), row_wait AS MATERIALIZED (SELECT f.waiter, pg_catalog.array_agg(f.relation) AS relations,
//         CASE .. END AS relation FROM (..) f(waiter, relation) GROUP BY f.waiter)
pub(crate) fn row_waits() -> String {
    // Up to Postgres 15 `spectoken` has its transaction in the column of the database.
    format!(
        "for_xact AS MATERIALIZED (SELECT w.virtualtransaction AS waiter, \
         coalesce(w.transactionid, w.database::pg_catalog.text::pg_catalog.xid) AS xact, \
         EXISTS (SELECT FROM seen t WHERE t.virtualtransaction = w.virtualtransaction AND {HAS_A_ROW}) AS has_a_row \
         FROM seen w WHERE {WAITS_FOR_XACT}), \
         row_wait AS MATERIALIZED (SELECT f.waiter, pg_catalog.array_agg(f.relation) AS relations, \
         CASE WHEN pg_catalog.count(*) = 1 THEN pg_catalog.min(f.relation) END AS relation FROM (\
         SELECT w.waiter, t.relation FROM for_xact w JOIN seen t ON t.virtualtransaction = w.waiter AND {HAS_A_ROW} \
         UNION \
         SELECT w.waiter, m.relation FROM for_xact w \
         JOIN seen x ON x.locktype = 'transactionid' AND x.granted AND x.transactionid = w.xact \
         JOIN seen m ON m.virtualtransaction = w.waiter AND {m_has_rows} \
         JOIN seen o ON o.virtualtransaction = x.virtualtransaction AND {o_has_rows} AND o.relation = m.relation \
         JOIN pg_catalog.pg_class k ON k.oid = m.relation AND k.relkind IN ('r', 'm') \
         WHERE NOT w.has_a_row) f(waiter, relation) GROUP BY f.waiter)",
        m_has_rows = may_have_rows("m"),
        o_has_rows = may_have_rows("o"),
    )
}

/// Whether the lock `w` is waited for by one that waits for a transaction.
const WAITS_FOR_XACT: &str = "NOT w.granted AND w.locktype IN ('transactionid', 'spectoken')";

/// Whether the lock `t` is one on a row. They are held while it is waited for the transaction that has it.
const HAS_A_ROW: &str = "t.locktype = 'tuple' AND t.granted";

/// Whether it is a lock on a table as those have that lock or write rows.
fn may_have_rows(lock: &str) -> String {
    format!(
        "{lock}.locktype = 'relation' AND {lock}.granted AND {lock}.mode IN ('RowShareLock', 'RowExclusiveLock')"
    )
}

/// The row in [`row_waits`] of the lock `l`, as `r`, and the relation of the lock or of the row, with its schema.
pub(crate) const RELATION: &str = "LEFT JOIN row_wait r ON NOT l.granted AND l.locktype IN ('transactionid', 'spectoken') \
     AND r.waiter = l.virtualtransaction \
     LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(l.relation, r.relation) \
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";

/// Whether the lock `l`, joined with its [`RELATION`], is one on the relations of the CTE `wanted`, on their pages and rows,
/// or a wait for one of their rows. A page can also be one of an index.
pub(crate) const IS_ON_WANTED: &str = "(l.relation IN (SELECT w.oid FROM wanted w) \
     OR EXISTS (SELECT FROM pg_catalog.unnest(r.relations) u(relation) JOIN wanted w ON w.oid = u.relation) \
     OR l.locktype = 'page' AND EXISTS (SELECT FROM pg_catalog.pg_index i JOIN wanted w ON w.oid = i.indrelid WHERE i.indexrelid = l.relation))";
