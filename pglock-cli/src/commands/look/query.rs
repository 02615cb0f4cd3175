//! What is asked of the server: which locks, and by whom it was answered.

use pglock::{BlockedLock, Lock, Locks};
use serde_json::json;
use tokio_postgres::Client;

use crate::args::{Scheme, Select};
use crate::connect;
use crate::failure::Failure;
use crate::names::{self, Names, is_pair};

/// Who was asked.
pub(crate) struct Server {
    pub(crate) version: String,
    pub(crate) database: String,
    pub(crate) time: String,
    /// Of our own session.
    pub(crate) pid: i32,
    pub(crate) user: String,
    /// Where it listens.
    pub(crate) at: String,
}

impl Server {
    pub(crate) async fn of(client: &Client) -> Result<Self, Failure> {
        let row = connect::row(
                client,
                "SELECT current_setting('server_version'), current_database()::text, \
                 to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), pg_backend_pid(), current_user::text, \
                 coalesce(host(inet_server_addr()) || ':' || inet_server_port(), 'a local socket')",
                &[],
            )
            .await?;
        Ok(Self {
            version: row.get(0),
            database: row.get(1),
            time: row.get(2),
            pid: row.get(3),
            user: row.get(4),
            at: row.get(5),
        })
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        json!({ "version": self.version, "database": self.database, "time": self.time })
    }
}

/// Applies what the command line selects to a query for locks of any kind of row; `$by_name` are those of `--lock`.
macro_rules! selected {
    ($query:expr, $select:expr, $by_name:expr) => {{
        let select: &Select = $select;
        let mut query = $query;
        if !select.pid.is_empty() {
            query = query.pid(select.pid.iter().copied());
        }
        if !select.on.is_empty() {
            query = query.on(select.on.iter().map(String::as_str));
        }
        if select.waiting || select.held {
            query = query.granted(select.held);
        }
        for filter in &select.filter {
            query = query.filter(filter)?;
        }
        for filter in &select.exclude {
            query = query.exclude(filter)?;
        }
        if let Some(user) = &select.user {
            query = query.filter(format!("activity__user={user}"))?;
        }
        if let Some(app) = &select.app {
            query = query.filter(format!("activity__application_name={app}"))?;
        }
        if let Some(wait) = select.min_wait {
            query = query.filter(format!(
                "wait_duration__gte={} milliseconds",
                wait.as_millis()
            ))?;
        }
        for filter in $by_name.filters() {
            query = query.filter(filter)?;
        }
        query
    }};
}

pub(crate) fn locks(select: &Select, by_name: &ByName) -> Result<Locks, Failure> {
    Ok(selected!(pglock::locks(), select, by_name))
}

pub(crate) fn blocked_locks(
    select: &Select,
    by_name: &ByName,
) -> Result<Locks<BlockedLock>, Failure> {
    Ok(selected!(pglock::blocked_locks(), select, by_name))
}

/// Leaves those advisory locks that were asked for by name.
#[derive(Default)]
pub(crate) struct ByName(Vec<pglock::LockId>);

impl ByName {
    pub(crate) fn of(select: &Select, database: &str, names: &mut Names) -> Result<Self, Failure> {
        Self::of_words(&select.lock, database, names)
    }

    pub(crate) fn of_words(
        words: &[String],
        database: &str,
        names: &mut Names,
    ) -> Result<Self, Failure> {
        let read = |word: &String| Ok(names::read(word, Scheme::Auto, Some(database))?.id);
        let ids = words
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, Failure>>()?;
        for id in &ids {
            names.add_asked(id);
        }
        Ok(Self(ids))
    }

    /// What the server can tell of that: of two keys it also finds one with halves of both, which [`Self::fits`] leaves out.
    // Input:  the keys 1 and 2
    // Output: kind=ADVISORY, classid__in=0,0, objid__in=1,2, objsubid__in=1,1
    pub(crate) fn filters(&self) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let halves = self.0.iter().map(|id| pglock::advisory_id(id.clone()));
        let (classids, objids): (Vec<_>, Vec<_>) = halves.unzip();
        let objsubids: Vec<u32> = self.0.iter().map(|id| 1 + u32::from(is_pair(id))).collect();
        let one_of = |field: &str, values: &[u32]| {
            let values: Vec<_> = values.iter().map(u32::to_string).collect();
            format!("{field}__in={}", values.join(","))
        };
        vec![
            "kind=ADVISORY".to_owned(),
            one_of("classid", &classids),
            one_of("objid", &objids),
            one_of("objsubid", &objsubids),
        ]
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = pglock::LockId> {
        self.0.iter().cloned()
    }

    pub(crate) fn fits(&self, lock: &Lock) -> bool {
        self.0.is_empty() || self.0.iter().any(|id| lock.is_advisory(id.clone()))
    }
}
