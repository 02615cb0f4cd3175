//! Other numbers of permits of a limit.

use crate::model::lock_id::Key;
use crate::model::lock_request::LockSpec;
use crate::model::permits::Permits;
use crate::sql::Rows;
use crate::sql::parts::THIS_DATABASE;

/// A session with a permit of a limit of this name, but of another number of permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OtherNumber {
    pub(crate) pid: i32,
    pub(crate) permits: u32,
}

/// Looks for one.
pub(crate) fn other_number(limit: &LockSpec, permits: Permits) -> String {
    let (first, second) = Permits::number_keys(limit);
    let (_, ours) = permits.number_key(limit);
    let last = Permits::last_number_key(second);
    let ours = ours.cast_unsigned();
    format!(
        "SELECT pid, objid FROM pg_catalog.pg_locks \
         WHERE locktype = 'advisory' AND database = {THIS_DATABASE} AND objsubid = 2 AND classid = '{first}' \
         AND objid >= '{second}' AND objid <= '{last}' AND objid <> '{ours}' AND pid IS NOT NULL \
         ORDER BY pid LIMIT 1"
    )
}

/// How many of these locks some session has. None of them has a pair as its key.
// Input:  [1, 2]
// Output: SELECT count(DISTINCT (classid, objid)) FROM .. WHERE .. AND (classid, objid) IN (('0', '1'), ('0', '2'))
pub(crate) fn count_held(slots: &[Key]) -> String {
    let slots: Vec<String> = slots
        .iter()
        .map(|slot| {
            let (classid, objid) = slot.pg_locks_columns();
            format!("('{classid}', '{objid}')")
        })
        .collect();
    format!(
        "SELECT pg_catalog.count(DISTINCT (classid, objid)) FROM pg_catalog.pg_locks \
         WHERE locktype = 'advisory' AND database = {THIS_DATABASE} AND objsubid = 1 AND granted \
         AND (classid, objid) IN ({})",
        slots.join(", ")
    )
}

pub(crate) fn read_other_number(rows: &Rows) -> Option<OtherNumber> {
    let row = rows.first_row()?;
    Some(OtherNumber {
        pid: row.parsed(0)?,
        permits: Permits::read_number(row.parsed(1)?),
    })
}
