//! All that is known of a lock and of a session, in one table: it is what is selected, read, and filtered by. Pure.

use super::words::{LockKind, LockMode, RelKind, State};

/// Something that is known of a lock or of a session: a column of a CTE of the same name (see `sql.rs`).
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) holds: ColumnType,
}

/// What is in a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ColumnType {
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    Int,
    Bool,
    Duration,
    Time,
}

const fn field(name: &'static str, holds: ColumnType) -> Field {
    Field { name, holds }
}

/// Of a lock.
pub(crate) const LOCK: [Field; 12] = [
    field("pid", ColumnType::Int),
    field("kind", ColumnType::Word(LockKind::WORDS)),
    field("mode", ColumnType::Word(LockMode::WORDS)),
    field("granted", ColumnType::Bool),
    field("wait_start", ColumnType::Time),
    field("wait_duration", ColumnType::Duration),
    field("rel_kind", ColumnType::Word(RelKind::WORDS)),
    field("rel_name", ColumnType::Text),
    field("schema", ColumnType::Text),
    field("classid", ColumnType::Int),
    field("objid", ColumnType::Int),
    field("objsubid", ColumnType::Int),
];

/// Of a session.
pub(crate) const ACTIVITY: [Field; 19] = [
    field("pid", ColumnType::Int),
    field("start", ColumnType::Time),
    field("duration", ColumnType::Duration),
    field("query", ColumnType::Text),
    field("context", ColumnType::Text),
    field("state", ColumnType::Word(State::WORDS)),
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

/// How many columns a row has that tells of a lock and of its session.
pub(crate) const COLUMNS_OF_A_LOCK: usize = LOCK.len() + ACTIVITY.len();

/// Whose field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Lock,
    /// The session that holds the lock, or waits for it.
    Activity,
    /// The session that keeps that one waiting.
    Blocker,
}

impl Entity {
    pub(crate) fn fields(self) -> &'static [Field] {
        match self {
            Self::Lock => &LOCK,
            Self::Activity | Self::Blocker => &ACTIVITY,
        }
    }

    /// What comes before the field in a filter.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Lock => "",
            Self::Activity => "activity",
            Self::Blocker => "blocking_activity",
        }
    }

    /// The field as SQL; the aliases are those of `sql.rs`.
    pub(crate) fn column(self, field: &Field) -> String {
        match (self, field.name) {
            // Known even of a session that is gone, or that never was one.
            (Self::Lock | Self::Activity, "pid") => "l.pid".to_owned(),
            (Self::Blocker, "pid") => "x.pid".to_owned(),
            (Self::Lock, name) => format!("l.\"{name}\""),
            (Self::Activity, name) => format!("a.\"{name}\""),
            (Self::Blocker, name) => format!("b.\"{name}\""),
        }
    }
}
