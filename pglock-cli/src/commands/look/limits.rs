//! Limits: which advisory locks are permits of one, who has them, and who is first in line.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use pglock::{Lock, LockId, WaitGraph, WaitGraphQuery};
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::query::{self, ByName};
use crate::args::Select;
use crate::failure::Failure;
use crate::names::{Names, read_key};
use crate::show::attribute::since;

/// A limit of which somebody has a permit.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) id: LockId,
    /// How many permits it has, by those who have one: one number, unless programs differ.
    pub(crate) counts: BTreeSet<u32>,
    /// The locks that say so, and in the order of their numbers those that are its permits.
    records: Vec<Lock>,
    pub(crate) taken: BTreeMap<u32, Lock>,
    /// Who has the lock with its name.
    line: Option<Lock>,
    /// Who waits for that, the longest wait first.
    pub(crate) waiting: Vec<Lock>,
}

impl Limit {
    pub(crate) fn is(&self, id: &LockId) -> bool {
        self.id.to_key() == id.to_key()
    }

    /// How many may run at once; where programs differ, by the one that allows most.
    pub(crate) fn count(&self) -> u32 {
        self.counts.last().copied().unwrap_or_default()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.taken.len() >= self.count() as usize
    }

    /// Who has the lock with the limit's name while all permits are taken, and so waits for one.
    pub(crate) fn first_in_line(&self) -> Option<&Lock> {
        self.line.as_ref().filter(|_| self.is_full())
    }

    /// Who has it while there is a free permit: nobody may begin then.
    pub(crate) fn stopped_by(&self) -> Option<&Lock> {
        self.line.as_ref().filter(|_| !self.is_full())
    }

    /// The locks that are its permits, each with its number.
    fn slots(&self) -> impl Iterator<Item = (LockId, u32)> {
        let most = self.taken.last_key_value();
        let count = self.count().max(most.map_or(0, |(slot, _)| slot + 1));
        (0..count).map(|slot| (LockId::permit(self.id.clone(), slot), slot))
    }

    /// What its locks are called, but for the one with its own name.
    // Output: sms (slot 0), sms (slot 1), sms (of 2)
    pub(crate) fn names(&self) -> impl Iterator<Item = (LockId, String)> {
        let plain = |id: &LockId| match id {
            LockId::Name(name) => name.to_string(),
            id => id.to_string(),
        };
        let limit = match &self.id {
            LockId::Name(name) => name.to_string(),
            id => format!("#{id}"),
        };
        let slots = self.slots().map(move |(slot, _)| {
            let name = plain(&slot);
            (slot, name)
        });
        let records = self.records.iter().filter_map(move |record| {
            let key = record.advisory_key.clone()?;
            let count = key.permits_of(self.id.clone())?;
            Some((key, format!("{limit} (of {count})")))
        });
        slots.chain(records)
    }

    /// Whether the lock is one of its permits.
    pub(crate) fn has(&self, lock: &Lock) -> bool {
        self.slots().any(|(slot, _)| lock.is_advisory(slot))
    }

    /// `limit "sms" of 2 permits, 2 of them taken`
    pub(crate) fn title(&self, called: &str) -> String {
        let counts: Vec<_> = self.counts.iter().map(u32::to_string).collect();
        format!(
            "limit {called} of {} permits, {} taken",
            counts.join(" or "),
            self.taken.len()
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "permits": self.count(),
            "numbers": self.counts,
            "taken": self.taken.keys().collect::<Vec<_>>(),
            "first_in_line": self.first_in_line().map(|lock| lock.activity.pid),
            "stopped_by": self.stopped_by().map(|lock| lock.activity.pid),
        })
    }

    /// What the server does not know: that the first in line waits for those who have permits.
    fn waits(&self) -> impl Iterator<Item = (Lock, &Lock)> {
        let first = self.first_in_line();
        let holders = first.into_iter().flat_map(|first| {
            let holders = self.taken.values().map(move |holder| (first, holder));
            holders.filter(|(first, holder)| first.activity.pid != holder.activity.pid)
        });
        holders.map(|(first, holder)| {
            let mut wait = holder.clone();
            wait.activity = first.activity.clone();
            wait.granted = false;
            wait.wait_start = first.held_since;
            wait.wait_duration = since(first.held_since);
            wait.held_since = None;
            (wait, holder)
        })
    }
}

/// The limits among advisory locks: those of which a session says a permit's name, and those of these IDs.
pub(crate) fn among<'l>(
    locks: impl IntoIterator<Item = &'l Lock>,
    ids: impl IntoIterator<Item = LockId>,
) -> Vec<Limit> {
    let (mut by_key, mut pairs) = (HashMap::<LockId, Vec<&Lock>>::new(), Vec::new());
    let mut ids: Vec<LockId> = ids.into_iter().collect();
    for lock in locks {
        let Some(key) = &lock.advisory_key else {
            continue;
        };
        by_key.entry(key.clone()).or_default().push(lock);
        if lock.granted && matches!(key, LockId::Pair(..)) {
            pairs.push(lock);
        }
        ids.extend(lock.advisory_name.as_deref().and_then(limit_of));
    }
    let mut seen = HashSet::new();
    ids.retain(|id| seen.insert(id.to_key()));
    let limits = ids.into_iter().map(|id| limit(id, &by_key, &pairs));
    limits.filter(|limit| !limit.records.is_empty()).collect()
}

fn limit(id: LockId, by_key: &HashMap<LockId, Vec<&Lock>>, pairs: &[&Lock]) -> Limit {
    let says = |lock: &&&Lock| {
        let key = lock.advisory_key.as_ref();
        key.is_some_and(|key| key.permits_of(id.clone()).is_some())
    };
    let records: Vec<Lock> = pairs
        .iter()
        .filter(says)
        .map(|lock| (*lock).clone())
        .collect();
    let counts = records.iter().filter_map(|record| {
        let key = record.advisory_key.as_ref()?;
        key.permits_of(id.clone())
    });
    let of_key = |id: &LockId| by_key.get(&id.to_key()).into_iter().flatten().copied();
    let (held, mut waiting): (Vec<&Lock>, Vec<&Lock>) = of_key(&id).partition(|lock| lock.granted);
    waiting.sort_by_key(|lock| std::cmp::Reverse(lock.wait_duration));
    let mut limit = Limit {
        counts: counts.collect(),
        records,
        taken: BTreeMap::new(),
        line: held.first().map(|lock| (*lock).clone()),
        waiting: waiting.into_iter().cloned().collect(),
        id,
    };
    let taken = limit.slots().filter_map(|(slot, number)| {
        let lock = of_key(&slot).find(|lock| lock.granted)?;
        Some((number, lock.clone()))
    });
    limit.taken = taken.collect();
    limit
}

/// The limit of which a lock of this name is a permit.
// Input:  sms (slot 2)       #42 (slot 0)
// Output: "sms"              42
fn limit_of(name: &str) -> Option<LockId> {
    let (limit, slot) = name.strip_suffix(')')?.rsplit_once(" (slot ")?;
    slot.parse::<u32>().ok()?;
    let key = limit.strip_prefix('#').and_then(|key| {
        let key = key
            .strip_prefix('(')
            .and_then(|key| key.strip_suffix(')'))
            .unwrap_or(key);
        read_key(key)
    });
    Some(key.unwrap_or_else(|| LockId::from(limit)))
}

/// All limits of which somebody has a permit, as far as their names are known.
pub(crate) async fn of_server(
    client: &mut Client,
    names: &Names,
    asked: impl IntoIterator<Item = LockId>,
) -> Result<Vec<Limit>, Failure> {
    let select = Select {
        filter: vec!["kind=ADVISORY".to_owned()],
        ..Select::default()
    };
    let query = query::locks(&select, &ByName::default())?;
    let locks = query.fetch_async(client).await?;
    Ok(among(&locks, names.limits().chain(asked)))
}

/// The graph, and in it who is first in line for a permit as one that waits for those who have them. With `pids`, only what
/// hangs together with one of them; of a graph `by_table`, only what does with what is in it.
pub(crate) async fn graph(
    client: &mut Client,
    query: WaitGraphQuery,
    pids: Option<Vec<i32>>,
    by_table: bool,
    limits: &[Limit],
) -> Result<WaitGraph, Failure> {
    let waits: Vec<_> = limits.iter().flat_map(Limit::waits).collect();
    let mut pids = pids;
    loop {
        let query = match &pids {
            Some(pids) => query.clone().pid(pids.iter().copied()),
            None => query.clone(),
        };
        let mut graph = query.fetch_async(client).await?;
        let mut known: HashSet<i32> = pids.iter().flatten().copied().collect();
        known.extend(graph.sessions().iter().map(|session| session.activity.pid));
        let is_all = pids.is_none() && !by_table;
        let ends = |(wait, holder): &(Lock, &Lock)| [wait.activity.pid, holder.activity.pid];
        let is_of =
            |wait: &&(Lock, &Lock)| is_all || ends(wait).iter().any(|pid| known.contains(pid));
        let more: Vec<_> = waits.iter().filter(is_of).collect();
        let all = more.iter().flat_map(|wait| ends(wait));
        let new: Vec<i32> = all.filter(|pid| !known.contains(pid)).collect();
        match &mut pids {
            // What hangs together with those, too.
            Some(pids) if !new.is_empty() => pids.extend(new),
            _ => {
                for (wait, holder) in more {
                    graph.add_wait(wait.clone(), &holder.activity);
                }
                return Ok(graph);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_permits_say_whose_they_are() {
        for (name, limit) in [
            ("sms (slot 2)", Some(LockId::from("sms"))),
            ("a (slot 1) (slot 0)", Some(LockId::from("a (slot 1)"))),
            ("#42 (slot 0)", Some(LockId::Key(42))),
            ("#(1, -2) (slot 0)", Some(LockId::Pair(1, -2))),
            ("#x (slot 0)", Some(LockId::from("#x"))),
            ("sms (slot x)", None),
            ("sms", None),
        ] {
            assert_eq!(limit_of(name), limit, "{name}");
            let own = limit.map(|limit| LockId::permit(limit, 0).to_string());
            let is_first = name.ends_with("(slot 0)");
            assert!(!is_first || own == Some(format!("{name:?}")), "{name}");
        }
    }
}
