//! Many locks in one statement, on a session that never waits in the server.
//!
//! All of it is sent in the extended protocol: one scan over two arrays, whose rows are evaluated once each and in their
//! order, since there is nothing to sort, to join or to filter. A statement that fails has done what its rows say.

use crate::model::lock_id::Key;
use crate::model::options::AdvisoryMode;

/// What to do with one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Unlock(AdvisoryMode),
    Try(AdvisoryMode),
    /// Is the session still there?
    Confirm,
    /// Would a session that does not hold the lock be granted it shared? Leaves nothing behind.
    ProbeShared,
}

/// Parameters: keys, actions, and the pid of the session's backend. One column, whether it was done. It is NULL on any
/// other backend, where a pooler has moved the session, and nothing is done there.
pub(crate) const MANY: &str = "\
SELECT CASE
    WHEN pg_catalog.pg_backend_pid() <> $3 THEN NULL
    WHEN op = 0 THEN pg_catalog.pg_advisory_unlock(key)
    WHEN op = 1 THEN pg_catalog.pg_advisory_unlock_shared(key)
    WHEN op = 2 THEN pg_catalog.pg_try_advisory_lock(key)
    WHEN op = 3 THEN pg_catalog.pg_try_advisory_lock_shared(key)
    WHEN op = 4 THEN pg_catalog.pg_advisory_unlock((key >> 32)::int, (key << 32 >> 32)::int)
    WHEN op = 5 THEN pg_catalog.pg_advisory_unlock_shared((key >> 32)::int, (key << 32 >> 32)::int)
    WHEN op = 6 THEN pg_catalog.pg_try_advisory_lock((key >> 32)::int, (key << 32 >> 32)::int)
    WHEN op = 7 THEN pg_catalog.pg_try_advisory_lock_shared((key >> 32)::int, (key << 32 >> 32)::int)
    WHEN op = 8 THEN true
    WHEN op = 9 THEN pg_catalog.pg_try_advisory_xact_lock_shared(key)
    WHEN op = 10 THEN pg_catalog.pg_try_advisory_xact_lock_shared((key >> 32)::int, (key << 32 >> 32)::int)
END
FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::smallint[])) AS batch (key, op)";

/// Like [`MANY`] for one exclusive key of 64 bits, which is faster. Parameters: the key and the pid. No row on another
/// backend.
pub(crate) const TRY_ONE: &str =
    "SELECT pg_catalog.pg_try_advisory_lock($1) WHERE pg_catalog.pg_backend_pid() = $2";

/// Like [`TRY_ONE`].
pub(crate) const UNLOCK_ONE: &str =
    "SELECT pg_catalog.pg_advisory_unlock($1) WHERE pg_catalog.pg_backend_pid() = $2";

/// The parameters of [`MANY`] for one action: a pair of keys as the two halves of one number.
// Input:  (Key::Pair(1, -1), Try(Shared))
// Output: (0x1_ffff_ffff, 7)
pub(crate) fn parameters(key: Key, action: Action) -> (i64, i16) {
    let is_pair = matches!(key, Key::Pair(..));
    let number = match key {
        Key::Big(key) => key,
        Key::Pair(first, second) => i64::from(first) << 32 | i64::from(second.cast_unsigned()),
    };
    let shared = |mode| i16::from(mode == AdvisoryMode::Shared);
    let operation = match action {
        Action::Unlock(mode) => shared(mode) + if is_pair { 4 } else { 0 },
        Action::Try(mode) => 2 + shared(mode) + if is_pair { 4 } else { 0 },
        Action::Confirm => 8,
        Action::ProbeShared => 9 + i16::from(is_pair),
    };
    (number, operation)
}

#[cfg(test)]
mod tests {
    use postgres::Client;

    use super::*;
    use pglock_tests::{database, pid_of};

    fn run(client: &mut Client, pid: i32, ops: &[(Key, Action)]) -> Vec<Option<bool>> {
        let (keys, operations): (Vec<_>, Vec<_>) = ops
            .iter()
            .map(|(key, action)| parameters(*key, *action))
            .unzip();
        let rows = client.query(MANY, &[&keys, &operations, &pid]).unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    #[test]
    fn every_operation_does_to_every_kind_of_key_what_its_name_says() {
        let db = database();
        let mut client = db.connect();
        let pid = pid_of(&mut client);
        let (exclusive, shared) = (AdvisoryMode::Exclusive, AdvisoryMode::Shared);
        for key in [
            Key::Big(i64::MIN),
            Key::Big(-1),
            Key::Big(i64::MAX),
            Key::Pair(i32::MIN, i32::MAX),
            Key::Pair(-1, -1),
            Key::Pair(1, -2),
            Key::Pair(-3, 4),
        ] {
            for (mode, name) in [(exclusive, "ExclusiveLock"), (shared, "ShareLock")] {
                assert_eq!(
                    run(&mut client, pid, &[(key, Action::Try(mode))]),
                    [Some(true)]
                );
                let (classid, objid) = key.pg_locks_columns();
                let held = client
                    .query(
                        "SELECT classid, objid, objsubid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
                        &[],
                    )
                    .unwrap();
                let held: Vec<(u32, u32, i16, String)> = held
                    .iter()
                    .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
                    .collect();
                let expected = (classid, objid, i16::from(key.objsubid()), name.to_owned());
                assert_eq!(held, [expected], "{key:?}");
                let others = [(key, Action::Confirm), (key, Action::Unlock(mode))];
                assert_eq!(run(&mut client, pid, &others), [Some(true), Some(true)]);
                assert_eq!(
                    run(&mut client, pid, &[(key, Action::ProbeShared)]),
                    [Some(true)]
                );
                assert_eq!(db.advisory_locks(), [], "{key:?}");
            }
        }
    }

    #[test]
    fn on_another_backend_nothing_is_done() {
        let db = database();
        let mut client = db.connect();
        let pid = pid_of(&mut client);
        let ops = [(Key::Big(1), Action::Try(AdvisoryMode::Exclusive))];
        assert_eq!(run(&mut client, pid + 1, &ops), [None]);
        assert_eq!(
            client.query(TRY_ONE, &[&1_i64, &(pid + 1)]).unwrap().len(),
            0
        );
        assert_eq!(db.advisory_locks(), []);
    }
}
