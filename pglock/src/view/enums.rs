//! The enums that describe locks and sessions, with names spelled as in django-pglock.

use std::fmt;
use std::str::FromStr;

use crate::model::table::TableMode;

/// The error of parsing a [`LockKind`], [`LockMode`], [`RelKind`] or [`State`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNameError {
    text: String,
    known: &'static [&'static str],
}

impl fmt::Display for ParseNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a known name; write one of {}",
            self.text,
            self.known.join(", ")
        )
    }
}

impl std::error::Error for ParseNameError {}

/// Finds the name in `known`, in any case, with spaces or underscores.
pub(crate) fn parse_name(
    text: &str,
    known: &'static [&'static str],
) -> Result<&'static str, ParseNameError> {
    let spelling = text.trim().to_ascii_uppercase().replace(' ', "_");
    known
        .iter()
        .copied()
        .find(|name| *name == spelling)
        .ok_or_else(|| ParseNameError {
            text: text.to_owned(),
            known,
        })
}

macro_rules! enums {
    ($(#[$enum_doc:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $spelling:literal,)+ }) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A value from a newer server, which this version of pglock does not know.
            Unknown,
        }

        impl $name {
            pub(crate) const NAMES: &'static [&'static str] = &[$($spelling),+];

            /// The name as django-pglock spells it; `UNKNOWN` for [`Unknown`](Self::Unknown).
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $spelling,)+
                    Self::Unknown => "UNKNOWN",
                }
            }

            /// Converts the name that our SQL returns.
            pub(crate) fn of(name: &str) -> Self {
                match name {
                    $($spelling => Self::$variant,)+
                    _ => Self::Unknown,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            /// Parses the name in any case, with spaces or underscores.
            fn from_str(text: &str) -> Result<Self, ParseNameError> {
                parse_name(text, Self::NAMES).map(Self::of)
            }
        }
    };
}

enums! {
    /// What is locked: `locktype` of [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html).
    ///
    /// ```
    /// use pglock::LockKind;
    ///
    /// assert_eq!("ADVISORY".parse(), Ok(LockKind::Advisory));
    /// assert_eq!(LockKind::TransactionId.as_str(), "TRANSACTIONID");
    /// ```
    LockKind {
        /// A relation: a table, an index, a sequence and so on.
        Relation = "RELATION",
        /// The extension of a relation's file.
        Extend = "EXTEND",
        /// The update of `pg_database.datfrozenxid`.
        FrozenId = "FROZENID",
        /// A page of a relation.
        Page = "PAGE",
        /// A row of a table, while a session waits for it.
        Tuple = "TUPLE",
        /// A transaction ID: a session that waits for a row waits for the transaction that changed it.
        TransactionId = "TRANSACTIONID",
        /// A virtual transaction ID, which each transaction has: `CREATE INDEX CONCURRENTLY` waits for it.
        VirtualXid = "VIRTUALXID",
        /// A row that is being inserted with `ON CONFLICT`.
        SpecToken = "SPECTOKEN",
        /// An object that is not a relation: a database, a schema, a type.
        Object = "OBJECT",
        /// A lock of the retired `userlock` extension.
        UserLock = "USERLOCK",
        /// An advisory lock.
        Advisory = "ADVISORY",
        /// A remote transaction that is being applied; from Postgres 16 on.
        ApplyTransaction = "APPLYTRANSACTION",
    }
}

enums! {
    /// The mode of a lock.
    ///
    /// All kinds of lock use the modes of table locks: an exclusive advisory lock is `EXCLUSIVE`, a shared one `SHARE`. It
    /// can be compared with a [`TableMode`].
    ///
    /// ```
    /// use pglock::{LockMode, TableMode};
    ///
    /// assert_eq!("ACCESS_SHARE".parse(), Ok(LockMode::AccessShare));
    /// assert_eq!(LockMode::from(TableMode::Share), LockMode::Share);
    /// ```
    LockMode {
        /// As [`TableMode::AccessShare`].
        AccessShare = "ACCESS_SHARE",
        /// As [`TableMode::RowShare`].
        RowShare = "ROW_SHARE",
        /// As [`TableMode::RowExclusive`].
        RowExclusive = "ROW_EXCLUSIVE",
        /// As [`TableMode::ShareUpdateExclusive`].
        ShareUpdateExclusive = "SHARE_UPDATE_EXCLUSIVE",
        /// As [`TableMode::Share`].
        Share = "SHARE",
        /// As [`TableMode::ShareRowExclusive`].
        ShareRowExclusive = "SHARE_ROW_EXCLUSIVE",
        /// As [`TableMode::Exclusive`].
        Exclusive = "EXCLUSIVE",
        /// As [`TableMode::AccessExclusive`].
        AccessExclusive = "ACCESS_EXCLUSIVE",
        /// A read of a serializable transaction (`SIReadLock`); it never blocks.
        SiRead = "S_I_READ",
    }
}

impl LockMode {
    /// Whether a lock in one mode blocks one in the other.
    pub(crate) fn conflicts_with(self, other: Self) -> bool {
        if self == Self::Unknown || other == Self::Unknown {
            // The server has reported a wait, which must not be lost because its mode has a new name.
            return true;
        }
        let table_mode = TableMode::ALL.into_iter().find(|mode| self == *mode);
        table_mode.is_some_and(|mode| mode.conflicts().iter().any(|mode| other == *mode))
    }
}

impl From<TableMode> for LockMode {
    fn from(mode: TableMode) -> Self {
        match mode {
            TableMode::AccessShare => Self::AccessShare,
            TableMode::RowShare => Self::RowShare,
            TableMode::RowExclusive => Self::RowExclusive,
            TableMode::ShareUpdateExclusive => Self::ShareUpdateExclusive,
            TableMode::Share => Self::Share,
            TableMode::ShareRowExclusive => Self::ShareRowExclusive,
            TableMode::Exclusive => Self::Exclusive,
            TableMode::AccessExclusive => Self::AccessExclusive,
        }
    }
}

impl PartialEq<TableMode> for LockMode {
    fn eq(&self, mode: &TableMode) -> bool {
        *self == Self::from(*mode)
    }
}

enums! {
    /// The kind of a locked relation: `relkind` of
    /// [`pg_class`](https://www.postgresql.org/docs/current/catalog-pg-class.html).
    RelKind {
        /// An ordinary table.
        Table = "TABLE",
        /// An index.
        Index = "INDEX",
        /// A sequence.
        Sequence = "SEQUENCE",
        /// A TOAST table, which stores long values of another table.
        Toast = "TOAST",
        /// A view.
        View = "VIEW",
        /// A materialized view.
        MaterializedView = "MATERIALIZED_VIEW",
        /// A composite type.
        CompositeType = "COMPOSITE_TYPE",
        /// A foreign table.
        ForeignTable = "FOREIGN_TABLE",
        /// A partitioned table.
        PartitionedTable = "PARTITIONED_TABLE",
        /// A partitioned index.
        PartitionedIndex = "PARTITIONED_INDEX",
    }
}

enums! {
    /// What a session is doing: `state` of
    /// [`pg_stat_activity`](https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW).
    State {
        /// It runs a statement, or waits for a lock in one.
        Active = "ACTIVE",
        /// It waits for a statement, outside a transaction.
        Idle = "IDLE",
        /// It waits for a statement, inside a transaction.
        IdleInTransaction = "IDLE_IN_TRANSACTION",
        /// The same, in a transaction that an error has aborted.
        IdleInTransactionAborted = "IDLE_IN_TRANSACTION_(ABORTED)",
        /// It runs a fast-path function.
        FastpathFunctionCall = "FASTPATH_FUNCTION_CALL",
        /// It has `track_activities` turned off.
        Disabled = "DISABLED",
        /// It is logging in; from Postgres 18 on.
        Starting = "STARTING",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for name in LockKind::NAMES {
            assert_eq!(name.parse::<LockKind>().unwrap().as_str(), *name);
        }
        assert_eq!("idle in transaction".parse(), Ok(State::IdleInTransaction));
        let error = "TABEL".parse::<RelKind>().unwrap_err().to_string();
        assert!(error.contains("MATERIALIZED_VIEW"), "{error}");
        assert!("UNKNOWN".parse::<LockMode>().is_err());
    }

    #[test]
    fn modes_conflict_as_those_of_tables_do() {
        assert!(LockMode::Share.conflicts_with(LockMode::Exclusive));
        assert!(!LockMode::Share.conflicts_with(LockMode::Share));
        assert!(!LockMode::SiRead.conflicts_with(LockMode::AccessExclusive));
        assert!(!LockMode::AccessExclusive.conflicts_with(LockMode::SiRead));
        assert!(LockMode::Unknown.conflicts_with(LockMode::AccessShare));
        assert!(LockMode::AccessShare.conflicts_with(LockMode::Unknown));
    }

    #[test]
    fn table_modes_are_spelled_alike() {
        for mode in TableMode::ALL {
            assert_eq!(LockMode::from(mode).as_str(), mode.as_str());
            assert_eq!(LockMode::from(mode), mode);
        }
    }
}
