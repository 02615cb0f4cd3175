//! From the rows of an answer to locks, with the names that statements say.

use std::collections::{HashMap, HashSet};

use super::enums::State;
use super::rows::{FromRow, Sessions};
use crate::model::lock_id::Key;
use crate::sql::Rows;
use crate::sql::comment::{self, NamedLock};

/// Leaves out rows without a kind or a pid, which are those of sessions.
pub(crate) fn read<R: FromRow>(rows: &Rows) -> Vec<R> {
    let sessions = Sessions::of(rows);
    let locks = rows.iter().filter_map(|row| R::from_row(&row, &sessions));
    let mut read: Vec<R> = locks.collect();
    name_advisory_locks(&mut read);
    read
}

/// Names the advisory locks by what the statements of all sessions say. A name concerns the lock that it hashes to, whoever
/// says it, so the statement of one session can name a lock that another holds. Since when a lock is held says its holder.
fn name_advisory_locks<R: FromRow>(rows: &mut [R]) {
    let queries = rows.iter().flat_map(R::queries).flatten();
    let mut distinct: HashSet<String> = HashSet::new();
    for query in queries {
        // The statement of a session comes with each of its locks.
        if !distinct.contains(query) {
            distinct.insert(query.to_owned());
        }
    }
    let said: HashMap<&str, HashMap<Key, NamedLock>> = distinct
        .iter()
        .map(|query| {
            let locks = comment::read(query).map(|lock| (lock.key, lock));
            (query.as_str(), locks.collect())
        })
        .collect();
    let names: HashMap<Key, &String> = said
        .values()
        .flatten()
        .filter_map(|(key, lock)| Some((*key, lock.name.as_ref()?)))
        .collect();
    for row in rows {
        let lock = row.lock();
        let Some(key) = lock.key() else {
            continue;
        };
        lock.advisory_name = names.get(&key).map(|name| (*name).clone());
        if lock.granted {
            let said = said.get(lock.activity.query.as_deref().unwrap_or_default());
            lock.held_since = said.and_then(|said| {
                let activity = &lock.activity;
                let is_idle = activity.state == Some(State::Idle);
                let idle_since = activity.state_change.filter(|_| is_idle);
                said.get(&key)?.since(activity.start, idle_since)
            });
        }
    }
}
