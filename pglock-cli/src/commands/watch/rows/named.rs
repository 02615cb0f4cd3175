//! Advisory locks: who holds each, and how many wait for it. Names that are known are shown while they are free, too.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use pglock::{Lock, LockId};

use super::{Row, RowId, SessionId, Sheet, by_text, called, columns, counted, state_of};
use crate::names::key_text;
use crate::show::attribute::{Naming, session, what};
use crate::show::style;
use crate::show::table::Cell;
use crate::text;

/// All of one key.
#[derive(Default)]
struct Key<'l> {
    holders: Vec<&'l Lock>,
    waiting: usize,
    longest: Duration,
}

pub(in super::super) fn sheet(locks: &[Lock], naming: Naming<'_>) -> Sheet {
    let mut keys: BTreeMap<(String, String), Key<'_>> = BTreeMap::new();
    for lock in locks {
        let id = lock.advisory_key.as_ref().map(key_text);
        let called = text::one_line(&what(lock, naming));
        let key = keys.entry((called, id.unwrap_or_default())).or_default();
        if lock.granted {
            key.holders.push(lock);
        } else {
            key.waiting += 1;
            key.longest = key.longest.max(lock.wait_duration.unwrap_or_default());
        }
    }
    let held = keys.len();
    let taken: HashSet<LockId> = locks
        .iter()
        .filter_map(|lock| Some(lock.advisory_key.as_ref()?.to_key()))
        .collect();
    let is_name = |id: &LockId| matches!(id, LockId::Name(_));
    let is_free = |id: &LockId| is_name(id) && !taken.contains(&id.to_key());
    let names = naming.names.entries().iter();
    let names = names.filter(|entry| entry.id.as_ref().is_some_and(is_free));
    let free: BTreeMap<String, Key<'_>> = names
        .map(|entry| {
            let called = format!("{:?}", entry.name);
            (text::one_line(&called), Key::default())
        })
        .collect();
    let summary = format!(
        "{} · {} waiting · {} free",
        counted(held, "lock", "locks"),
        keys.values().map(|key| key.waiting).sum::<usize>(),
        free.len()
    );
    let keys = keys.into_iter().map(|((called, _), key)| (called, key));
    let keys = keys.chain(free).enumerate();
    Sheet {
        columns: columns(&[
            ("LOCK", 0),
            ("STATE", 0),
            ("SESSION", 1),
            ("MODE", 2),
            ("WAITING", 0),
            ("DOES", 3),
            ("STATEMENT", 4),
        ]),
        rows: keys
            .flat_map(|(group, (called, key))| rows(group, &called, &key))
            .collect(),
        summary,
        nothing: "no advisory lock is held, and no name is known",
        orders: &["most waiting", "lock", "session"],
    }
}

/// One for each holder, or one without.
fn rows(group: usize, lock: &str, key: &Key<'_>) -> Vec<Row> {
    if key.holders.is_empty() {
        return vec![row(group, lock, key, None)];
    }
    let of_holder = |holder: &&Lock| row(group, lock, key, Some(holder));
    key.holders.iter().map(of_holder).collect()
}

fn row(group: usize, lock: &str, key: &Key<'_>, holder: Option<&Lock>) -> Row {
    let activity = holder.map(|holder| &holder.activity);
    let state = if holder.is_some() { "held" } else { "free" };
    let waiting = match key.waiting {
        0 => String::new(),
        number => format!("{number}, {}", text::duration(key.longest)),
    };
    let of_session = |of: fn(&pglock::Activity) -> String| activity.map(of).unwrap_or_default();
    let statement = of_session(|activity| {
        let query = activity.query.as_deref().unwrap_or_default();
        text::statement(query)
    });
    let who = of_session(called);
    Row {
        id: RowId {
            session: activity.map(SessionId::of),
            what: lock.to_owned(),
        },
        keys: vec![
            (Reverse(key.waiting as u128), lock.to_lowercase()),
            by_text(lock),
            by_text(&who),
        ],
        about: [
            match activity {
                Some(activity) => format!("{}  holds {lock}", session(activity)),
                None => format!("{lock} is {state}"),
            },
            statement.clone(),
        ],
        cells: vec![
            Cell::styled(lock.to_owned(), style::NAME),
            Cell::plain(state),
            Cell::plain(who),
            Cell::plain(holder.map_or("", |holder| holder.mode.as_str())),
            Cell::styled(waiting, style::WAITS),
            activity.map_or_else(|| Cell::plain(""), state_of),
            Cell::styled(statement, style::DIM),
        ],
        group,
    }
}
