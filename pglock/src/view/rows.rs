//! Locks and sessions as values, and how they are read from rows.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::enums::{LockKind, LockMode, RelKind, State};
use super::fields::{COLUMNS_OF_A_LOCK, ColumnType, Entity, Field};
use crate::model::lock_id::{IntoLockId, Key, LockId};
use crate::sql::{Row, Rows};

/// A lock that a session holds or waits for: a row of
/// [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html).
///
/// Returned by [`locks`](crate::locks).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// What is locked.
    pub kind: LockKind,
    /// The mode of the lock.
    pub mode: LockMode,
    /// Whether it is held; `false` while the session waits for it.
    pub granted: bool,
    /// When the wait began; `None` when it is held, and in the first moments of a wait.
    pub wait_start: Option<SystemTime>,
    /// How long the session has been waiting; `None` when [`wait_start`](Lock::wait_start) is.
    pub wait_duration: Option<Duration>,
    /// The kind of the locked relation, or of the relation with the locked page or row, or with the row that the session
    /// waits for; `None` for other locks.
    pub rel_kind: Option<RelKind>,
    /// The relation's name; `None` for other locks, and for a relation that another transaction has created and not yet
    /// committed: then [`rel_oid`](Lock::rel_oid) is all that is known of it.
    pub rel_name: Option<String>,
    /// The schema that the relation is in.
    pub schema: Option<String>,
    /// The relation's OID, also where its name is not visible; `None` for other locks.
    pub rel_oid: Option<u32>,
    /// Whether the relation is not that of the lock, but the table with the row that the session waits for.
    ///
    /// Who waits for a row waits for the transaction that has it ([`TransactionId`](LockKind::TransactionId), or
    /// [`SpecToken`](LockKind::SpecToken)), and that lock names no relation. If the row can be in several tables, in which both
    /// have locked rows, no relation is named.
    pub rel_of_row: bool,
    /// The key of an advisory lock. It is never a name, since names are hashed: see
    /// [`advisory_name`](Lock::advisory_name) and [`is_advisory`](Lock::is_advisory).
    pub advisory_key: Option<LockId>,
    /// The name that hashes to the key of an advisory lock, if the statement of a session in the same result says it.
    ///
    /// Statements of pglock do, while a session waits for the lock and while it holds it. Of a session that holds many
    /// locks, the heartbeat names those that have been held longest. `None` also if your role may not see the statement.
    pub advisory_name: Option<String>,
    /// When an advisory lock was acquired, by the server's clock. Known only while its holder says it: pglock's own sessions
    /// do, but for locks that they have no room for beside others held longer; other sessions of pglock's until their next
    /// statement.
    pub held_since: Option<SystemTime>,
    /// `classid` of `pg_locks`: for an advisory lock, the first number of [`advisory_id`](crate::advisory_id).
    pub classid: Option<u32>,
    /// `objid` of `pg_locks`: for an advisory lock, the second number of [`advisory_id`](crate::advisory_id).
    pub objid: Option<u32>,
    /// `objsubid` of `pg_locks`: for an advisory lock, 1 for an integer or a name, 2 for a pair.
    pub objsubid: Option<i16>,
    /// What an [`Object`](LockKind::Object) is called, as Postgres describes it: `schema sales`, `type mood`. `None` for other
    /// locks, for kinds of objects that are seldom locked, and for one that another transaction has created and not yet
    /// committed.
    ///
    /// See also [`pg_describe_object`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-OBJECT).
    pub object: Option<String>,
    /// The session that holds the lock, or waits for it.
    pub activity: Activity,
}

impl Lock {
    /// Whether this is the advisory lock with that name, integer or pair.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// let mut locked = pglock::advisory("invoices").on(&mut client).acquire()?;
    /// let locks = pglock::locks().filter("kind=ADVISORY")?.fetch(&mut locked)?;
    /// assert!(locks[0].is_advisory("invoices"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_advisory(&self, id: impl IntoLockId) -> bool {
        match (self.key(), Key::checked(&id.into_lock_id())) {
            (Some(key), Ok(wanted)) => wanted == key,
            _ => false,
        }
    }

    pub(super) fn key(&self) -> Option<Key> {
        self.advisory_key.as_ref().map(Key::of)
    }
}

/// A lock that a session waits for, and one of the sessions that block it.
///
/// Returned by [`blocked_locks`](crate::blocked_locks), once for each blocker. It derefs to the [`Lock`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockedLock {
    /// The lock that the session waits for.
    pub lock: Lock,
    /// The session that blocks it, according to
    /// [`pg_blocking_pids`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION): it
    /// holds a lock in a conflicting mode, or is ahead of it in the wait queue.
    pub blocking_activity: Activity,
}

impl Deref for BlockedLock {
    type Target = Lock;

    fn deref(&self) -> &Lock {
        &self.lock
    }
}

/// What a session is doing: a row of
/// [`pg_stat_activity`](https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW).
///
/// A role without `pg_read_all_stats` sees only pid, user and application name of other users' sessions; the other fields
/// are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activity {
    /// The pid of its backend; 0 for a prepared transaction, which holds locks without a backend.
    pub pid: i32,
    /// When its current statement began, or its latest one if it is idle.
    pub start: Option<SystemTime>,
    /// How long ago that was.
    pub duration: Option<Duration>,
    /// Its current or latest statement, without the context. Postgres keeps the first 1,023 bytes, unless
    /// `track_activity_query_size` is raised. What cannot be read of it, since it is from a database of another encoding, is
    /// `\u{fffd}`.
    pub query: Option<String>,
    /// The context that `pgactivity.context` of django-pgactivity puts before the statement: JSON, as text.
    pub context: Option<String>,
    /// What it is doing.
    pub state: Option<State>,
    /// When its transaction began; `None` outside one.
    pub xact_start: Option<SystemTime>,
    /// When it connected. Together with the pid, this identifies the session.
    pub backend_start: Option<SystemTime>,
    /// When its state last changed.
    pub state_change: Option<SystemTime>,
    /// The kind of event that it waits for, such as `LOCK` or `CLIENT`: Postgres' name in upper snake case.
    pub wait_event_type: Option<String>,
    /// The event that it waits for, such as `CLIENT_READ`: Postgres' name in upper snake case.
    pub wait_event: Option<String>,
    /// The ID of its transaction; `None` until the transaction writes.
    pub backend_xid: Option<String>,
    /// The oldest transaction that its snapshot needs.
    pub backend_xmin: Option<String>,
    /// The kind of process, such as `CLIENT_BACKEND` or `AUTOVACUUM_WORKER`.
    pub backend_type: Option<String>,
    /// Its `application_name` as the server shows it: cut off after 63 bytes, with each byte that is not printable ASCII
    /// replaced by `?`, or from Postgres 16 on by its number, such as `\xc3`. Filters compare with that text.
    pub application_name: Option<String>,
    /// The role that it logged in with.
    pub user: Option<String>,
    /// The address that it connects from; `None` for a unix socket.
    pub client_addr: Option<IpAddr>,
    /// The host name of that address; `None` unless `log_hostname` is on.
    pub client_hostname: Option<String>,
    /// The port that it connects from; -1 for a unix socket.
    pub client_port: Option<i32>,
}

/// A type that can be read from a row.
pub trait FromRow: Sized {
    /// Whether it includes a blocker.
    const BLOCKED: bool;

    #[doc(hidden)]
    fn from_row(row: &Row<'_>, sessions: &Sessions) -> Option<Self>;

    #[doc(hidden)]
    fn lock(&mut self) -> &mut Lock;

    /// The statements of its sessions.
    #[doc(hidden)]
    fn queries(&self) -> [Option<&str>; 2];
}

/// The sessions that have rows of their own.
///
/// `pub`, since a method of a public trait names it; the module is private.
#[derive(Debug)]
pub struct Sessions(HashMap<i32, Activity>);

impl Sessions {
    pub(super) fn of(rows: &Rows) -> Self {
        let session = |row: Row<'_>| {
            let is_lock = Columns::of(&row, Entity::Lock).text("pid").is_some();
            let session = (!is_lock).then(|| Activity::read(&Columns::of(&row, Entity::Activity)));
            session.flatten()
        };
        let sessions = rows.iter().filter_map(session);
        Self(sessions.map(|session| (session.pid, session)).collect())
    }

    /// That of the lock in the row, where it is not in the row itself.
    fn of_lock(&self, row: &Row<'_>) -> Option<Activity> {
        let in_row = Activity::read(&Columns::of(row, Entity::Activity));
        let pid = || Columns::of(row, Entity::Lock).parsed("pid");
        in_row.or_else(|| Some(self.with_pid(pid()?)))
    }

    /// One that has ended, and a prepared transaction, is known by its pid only.
    fn with_pid(&self, pid: i32) -> Activity {
        self.0
            .get(&pid)
            .cloned()
            .unwrap_or_else(|| Activity::with_pid(pid))
    }
}

impl FromRow for Lock {
    const BLOCKED: bool = false;

    fn from_row(row: &Row<'_>, sessions: &Sessions) -> Option<Self> {
        let columns = Columns::of(row, Entity::Lock);
        let kind = columns.one_of("kind", LockKind::of)?;
        let (classid, objid) = (columns.parsed("classid"), columns.parsed("objid"));
        let objsubid = columns.parsed("objsubid");
        Some(Self {
            kind,
            mode: columns.one_of("mode", LockMode::of)?,
            granted: columns.parsed("granted")?,
            wait_start: columns.time("wait_start"),
            wait_duration: columns.duration("wait_duration"),
            rel_kind: columns.one_of("rel_kind", RelKind::of),
            rel_name: columns.text("rel_name"),
            schema: columns.text("schema"),
            rel_oid: columns.parsed("rel_oid"),
            rel_of_row: columns.parsed("rel_of_row").unwrap_or(false),
            advisory_key: advisory_key(kind, classid, objid, objsubid),
            // Known once all rows are read.
            advisory_name: None,
            held_since: None,
            classid,
            objid,
            objsubid,
            object: columns.text("object"),
            activity: sessions.of_lock(row)?,
        })
    }

    fn lock(&mut self) -> &mut Lock {
        self
    }

    fn queries(&self) -> [Option<&str>; 2] {
        [self.activity.query.as_deref(), None]
    }
}

impl FromRow for BlockedLock {
    const BLOCKED: bool = true;

    fn from_row(row: &Row<'_>, sessions: &Sessions) -> Option<Self> {
        Some(Self {
            lock: Lock::from_row(row, sessions)?,
            blocking_activity: sessions.with_pid(row.parsed(COLUMNS_OF_A_LOCK)?),
        })
    }

    fn lock(&mut self) -> &mut Lock {
        &mut self.lock
    }

    fn queries(&self) -> [Option<&str>; 2] {
        let blocker = self.blocking_activity.query.as_deref();
        [self.lock.activity.query.as_deref(), blocker]
    }
}

impl Activity {
    /// One of which nothing else is known.
    pub(crate) fn with_pid(pid: i32) -> Self {
        Self {
            pid,
            start: None,
            duration: None,
            query: None,
            context: None,
            state: None,
            xact_start: None,
            backend_start: None,
            state_change: None,
            wait_event_type: None,
            wait_event: None,
            backend_xid: None,
            backend_xmin: None,
            backend_type: None,
            application_name: None,
            user: None,
            client_addr: None,
            client_hostname: None,
            client_port: None,
        }
    }

    fn read(columns: &Columns<'_>) -> Option<Self> {
        Some(Self {
            pid: columns.parsed("pid")?,
            start: columns.time("start"),
            duration: columns.duration("duration"),
            query: columns.text("query"),
            context: columns.text("context"),
            state: columns.one_of("state", State::of),
            xact_start: columns.time("xact_start"),
            backend_start: columns.time("backend_start"),
            state_change: columns.time("state_change"),
            wait_event_type: columns.text("wait_event_type"),
            wait_event: columns.text("wait_event"),
            backend_xid: columns.text("backend_xid"),
            backend_xmin: columns.text("backend_xmin"),
            backend_type: columns.text("backend_type"),
            application_name: columns.text("application_name"),
            user: columns.text("user"),
            client_addr: columns.parsed("client_addr"),
            client_hostname: columns.text("client_hostname"),
            client_port: columns.parsed("client_port"),
        })
    }
}

/// The key of an advisory lock: the inverse of [`Key::pg_locks_columns`].
fn advisory_key(
    kind: LockKind,
    classid: Option<u32>,
    objid: Option<u32>,
    objsubid: Option<i16>,
) -> Option<LockId> {
    if kind != LockKind::Advisory {
        return None;
    }
    let (classid, objid) = (classid?, objid?);
    match objsubid? {
        1 => Some(LockId::Key(
            (u64::from(classid) << 32 | u64::from(objid)).cast_signed(),
        )),
        2 => Some(LockId::Pair(classid.cast_signed(), objid.cast_signed())),
        _ => None,
    }
}

/// The columns of a row that describe one entity.
struct Columns<'r> {
    row: &'r Row<'r>,
    of: Entity,
    first: usize,
}

impl<'r> Columns<'r> {
    fn of(row: &'r Row<'r>, of: Entity) -> Self {
        // In the order of `sql::columns`.
        let first = match of {
            Entity::Lock => 0,
            Entity::Activity | Entity::Blocker => Entity::Lock.fields().len(),
        };
        Self { row, of, first }
    }

    fn text(&self, name: &str) -> Option<String> {
        let (column, field) = self.find(name)?;
        match field.column_type {
            ColumnType::Text => self.row.lossy(column),
            _ => self.row.text(column).map(str::to_owned),
        }
    }

    fn find(&self, name: &str) -> Option<(usize, &'static Field)> {
        let mut fields = self.of.fields().iter().enumerate();
        let (nth, field) = fields.find(|(_, field)| field.name == name)?;
        Some((self.first + nth, field))
    }

    fn one_of<T>(&self, name: &str, of: fn(&str) -> T) -> Option<T> {
        self.text(name).as_deref().map(of)
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    fn duration(&self, name: &str) -> Option<Duration> {
        self.parsed(name).map(Duration::from_micros)
    }

    fn time(&self, name: &str) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(self.duration(name)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_they_were_before_pg_locks_split_them() {
        for key in [0, 1, -1, i64::MIN, i64::MAX, 0x0ea3_b05f_ba4d_f22c] {
            let (classid, objid) = crate::advisory_id(key);
            let read = advisory_key(LockKind::Advisory, Some(classid), Some(objid), Some(1));
            assert_eq!(read, Some(LockId::Key(key)));
        }
        let (classid, objid) = crate::advisory_id((-1, 2));
        let read = advisory_key(LockKind::Advisory, Some(classid), Some(objid), Some(2));
        assert_eq!(read, Some(LockId::Pair(-1, 2)));
        assert_eq!(
            advisory_key(LockKind::Object, Some(1), Some(1), Some(1)),
            None
        );
    }
}
