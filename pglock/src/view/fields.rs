//! All that is known of a lock and of a session, in one table: it is what is selected, read, and filtered by. Pure.

use super::words::{LockKind, LockMode, RelKind, State};

/// Something that is known of a lock or of a session: a column of a CTE of the same name (see `sql.rs`).
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) holds: Holds,
}

/// What is in a column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holds {
    Text,
    /// One of these.
    Word(&'static [&'static str]),
    Int,
    Bool,
    Duration,
    Time,
}

const fn field(name: &'static str, holds: Holds) -> Field {
    Field { name, holds }
}

/// Of a lock.
pub(crate) const LOCK: [Field; 12] = [
    field("pid", Holds::Int),
    field("kind", Holds::Word(LockKind::WORDS)),
    field("mode", Holds::Word(LockMode::WORDS)),
    field("granted", Holds::Bool),
    field("wait_start", Holds::Time),
    field("wait_duration", Holds::Duration),
    field("rel_kind", Holds::Word(RelKind::WORDS)),
    field("rel_name", Holds::Text),
    field("schema", Holds::Text),
    field("classid", Holds::Int),
    field("objid", Holds::Int),
    field("objsubid", Holds::Int),
];

/// Of a session.
pub(crate) const ACTIVITY: [Field; 19] = [
    field("pid", Holds::Int),
    field("start", Holds::Time),
    field("duration", Holds::Duration),
    field("query", Holds::Text),
    field("context", Holds::Text),
    field("state", Holds::Word(State::WORDS)),
    field("xact_start", Holds::Time),
    field("backend_start", Holds::Time),
    field("state_change", Holds::Time),
    field("wait_event_type", Holds::Text),
    field("wait_event", Holds::Text),
    field("backend_xid", Holds::Text),
    field("backend_xmin", Holds::Text),
    field("backend_type", Holds::Text),
    field("application_name", Holds::Text),
    field("user", Holds::Text),
    field("client_addr", Holds::Text),
    field("client_hostname", Holds::Text),
    field("client_port", Holds::Int),
];

/// How many columns a row has that tells of a lock and of its session.
pub(crate) const COLUMNS_OF_A_LOCK: usize = LOCK.len() + ACTIVITY.len();

/// Whose field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Lock,
    /// The session that holds the lock, or waits for it.
    Activity,
    /// The session that keeps that one waiting.
    Blocker,
}

impl Of {
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
