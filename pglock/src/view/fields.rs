//! The fields of locks and sessions, in one table: queries select them, rows are read by them, and filters name them.

use super::enums::{LockKind, LockMode, RelKind, State};

/// A field of a lock or a session: a column of the CTE `lock` or `activity` (see `sql/mod.rs`).
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) column_type: ColumnType,
}

/// The type of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ColumnType {
    Text,
    /// One of these names.
    Enum(&'static [&'static str]),
    Int,
    Bool,
    Duration,
    Time,
}

const fn field(name: &'static str, column_type: ColumnType) -> Field {
    Field { name, column_type }
}

/// The fields of a lock.
pub(crate) const LOCK: [Field; 15] = [
    field("pid", ColumnType::Int),
    field("kind", ColumnType::Enum(LockKind::NAMES)),
    field("mode", ColumnType::Enum(LockMode::NAMES)),
    field("granted", ColumnType::Bool),
    field("wait_start", ColumnType::Time),
    field("wait_duration", ColumnType::Duration),
    field("rel_kind", ColumnType::Enum(RelKind::NAMES)),
    field("rel_name", ColumnType::Text),
    field("schema", ColumnType::Text),
    field("rel_oid", ColumnType::Int),
    field("rel_of_row", ColumnType::Bool),
    field("classid", ColumnType::Int),
    field("objid", ColumnType::Int),
    field("objsubid", ColumnType::Int),
    field("object", ColumnType::Text),
];

/// The fields of a session.
pub(crate) const ACTIVITY: [Field; 19] = [
    field("pid", ColumnType::Int),
    field("start", ColumnType::Time),
    field("duration", ColumnType::Duration),
    field("query", ColumnType::Text),
    field("context", ColumnType::Text),
    field("state", ColumnType::Enum(State::NAMES)),
    field("xact_start", ColumnType::Time),
    field("backend_start", ColumnType::Time),
    field("state_change", ColumnType::Time),
    field("wait_event_type", ColumnType::Text),
    field("wait_event", ColumnType::Text),
    field("backend_xid", ColumnType::Text),
    field("backend_xmin", ColumnType::Text),
    field("backend_type", ColumnType::Text),
    field("application_name", ColumnType::Text),
    field("user", ColumnType::Text),
    field("client_addr", ColumnType::Text),
    field("client_hostname", ColumnType::Text),
    field("client_port", ColumnType::Int),
];

/// The number of columns of a row with a lock and its session.
pub(crate) const COLUMNS_OF_A_LOCK: usize = LOCK.len() + ACTIVITY.len();

/// The entity that a field describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Lock,
    /// The session that holds the lock, or waits for it.
    Activity,
    /// The session that blocks that one.
    Blocker,
}

impl Entity {
    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Lock => &LOCK,
            Self::Activity | Self::Blocker => &ACTIVITY,
        }
    }

    /// The prefix of its fields in a filter.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Lock => "",
            Self::Activity => "activity",
            Self::Blocker => "blocking_activity",
        }
    }

    /// Whether its texts are valid in the encoding of this database, as SQL.
    pub(crate) fn is_readable(self) -> &'static str {
        match self {
            Self::Lock => "true",
            Self::Activity => "a.is_readable",
            Self::Blocker => "b.is_readable",
        }
    }

    /// The field as SQL; the aliases are those of `sql/mod.rs`.
    pub(crate) fn column(self, field: &Field) -> String {
        match (self, field.name) {
            // From `pg_locks`: known even if the session has ended, and for prepared transactions.
            (Self::Lock | Self::Activity, "pid") => "l.pid".to_owned(),
            (Self::Blocker, "pid") => "x.pid".to_owned(),
            (Self::Lock, name) => format!("l.\"{name}\""),
            (Self::Activity, name) => format!("a.\"{name}\""),
            (Self::Blocker, name) => format!("b.\"{name}\""),
        }
    }
}
