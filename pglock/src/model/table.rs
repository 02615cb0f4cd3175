//! A table's name, and the modes in which a table is locked.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// In bytes. Postgres cuts off the rest, so a longer name could turn into another table's.
const LONGEST_NAME: usize = 63;

/// The name of a table, with or without its schema.
///
/// `"orders"` is found by the `search_path`, `"billing.invoices"` names its schema. A pair of schema and name allows dots in
/// both. Upper and lower case count: `"Order"` is not `order`.
///
/// ```
/// use pglock::TableName;
///
/// assert_eq!(TableName::from("billing.invoices"), TableName::from(("billing", "invoices")));
/// assert_eq!(TableName::from(("odd", "na.me")).to_string(), r#""odd"."na.me""#);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    schema: Option<String>,
    name: String,
}

impl From<&str> for TableName {
    fn from(name: &str) -> Self {
        match name.split_once('.') {
            Some((schema, name)) => Self::from((schema, name)),
            None => Self {
                schema: None,
                name: name.to_owned(),
            },
        }
    }
}

impl From<String> for TableName {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl<S: Into<String>, N: Into<String>> From<(S, N)> for TableName {
    fn from((schema, name): (S, N)) -> Self {
        Self {
            schema: Some(schema.into()),
            name: name.into(),
        }
    }
}

impl TableName {
    /// Rejects what cannot be a name, without a round trip.
    pub(crate) fn checked(&self) -> Result<(), Error> {
        for part in self.schema.iter().chain([&self.name]) {
            let problem = if part.is_empty() {
                "is empty"
            } else if part.contains('\0') {
                "contains a NUL"
            } else if part.len() > LONGEST_NAME {
                "is longer than 63 bytes, the longest that postgres keeps"
            } else {
                continue;
            };
            return Err(Error::config(format!(
                "the table name {self} {problem}; write `\"table\"`, `\"schema.table\"`, or `(\"schema\", \"table\")`"
            )));
        }
        Ok(())
    }
}

/// The names as in SQL: quoted, with commas.
pub(crate) fn list(names: &[TableName]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Quoted, as in SQL.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{}.", quoted(schema))?;
        }
        f.write_str(&quoted(&self.name))
    }
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// A type that represents a table, for [`model`](crate::model).
///
/// ```
/// use pglock::Model;
///
/// struct Order;
///
/// impl Model for Order {
///     const TABLE: &'static str = "shop.orders";
/// }
///
/// let lock = pglock::model::<Order>();
/// let both = pglock::tables([Order::TABLE, "customers"]);
/// ```
pub trait Model {
    /// The table's name, in the form that [`TableName`] parses.
    const TABLE: &'static str;
}

/// The mode in which a table is locked: what others may do with it meanwhile.
///
/// See also the [table-level lock modes](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES).
///
/// ```
/// use pglock::TableMode;
///
/// assert_eq!("ACCESS_SHARE".parse(), Ok(TableMode::AccessShare));
/// assert_eq!(TableMode::ShareRowExclusive.as_str(), "SHARE_ROW_EXCLUSIVE");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TableMode {
    /// Taken by a plain `SELECT`; conflicts only with `AccessExclusive`.
    AccessShare,
    /// Taken by `SELECT ... FOR UPDATE`; conflicts with `Exclusive` and `AccessExclusive`.
    RowShare,
    /// Taken by `INSERT`, `UPDATE` and `DELETE`; conflicts with `Share` and stronger modes.
    RowExclusive,
    /// Taken by `VACUUM` and `CREATE INDEX CONCURRENTLY`; conflicts with itself and with schema changes.
    ShareUpdateExclusive,
    /// Taken by `CREATE INDEX`; conflicts with writers.
    Share,
    /// Conflicts with writers and with itself.
    ShareRowExclusive,
    /// Conflicts with all but reading.
    Exclusive,
    /// Taken by `ALTER TABLE` and by `LOCK TABLE` without a mode; conflicts with every mode.
    #[default]
    AccessExclusive,
}

impl TableMode {
    /// All modes, the weakest first.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// The mode as django-pglock spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS_SHARE",
            Self::RowShare => "ROW_SHARE",
            Self::RowExclusive => "ROW_EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE_UPDATE_EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE_ROW_EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS_EXCLUSIVE",
        }
    }

    /// The mode as `LOCK TABLE` spells it.
    pub(crate) fn sql(self) -> String {
        self.as_str().replace('_', " ")
    }

    /// The mode as `pg_locks` spells it.
    pub(crate) const fn pg_locks(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// The modes that conflict with this one: the table in Postgres' manual, row by row.
    pub(crate) fn conflicts(self) -> &'static [Self] {
        use TableMode::{
            AccessExclusive, Exclusive, RowExclusive, RowShare, Share, ShareRowExclusive,
            ShareUpdateExclusive,
        };
        match self {
            Self::AccessShare => &[AccessExclusive],
            Self::RowShare => &[Exclusive, AccessExclusive],
            Self::RowExclusive => &[Share, ShareRowExclusive, Exclusive, AccessExclusive],
            Self::ShareUpdateExclusive => &[
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
            Self::Share => &[
                RowExclusive,
                ShareUpdateExclusive,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
            Self::ShareRowExclusive => &[
                RowExclusive,
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
            Self::Exclusive => &[
                RowShare,
                RowExclusive,
                ShareUpdateExclusive,
                Share,
                ShareRowExclusive,
                Exclusive,
                AccessExclusive,
            ],
            Self::AccessExclusive => &Self::ALL,
        }
    }
}

impl fmt::Display for TableMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of parsing a [`TableMode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTableModeError(String);

impl fmt::Display for ParseTableModeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = TableMode::ALL.iter().map(|mode| mode.as_str()).collect();
        write!(
            f,
            "{:?} is not a table lock mode; write one of {}",
            self.0,
            known.join(", ")
        )
    }
}

impl std::error::Error for ParseTableModeError {}

impl FromStr for TableMode {
    type Err = ParseTableModeError;

    /// Parses a mode such as `ACCESS_SHARE`, in any case, with spaces or underscores.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let spelled = text.trim().to_ascii_uppercase().replace(' ', "_");
        Self::ALL
            .into_iter()
            .find(|mode| mode.as_str() == spelled)
            .ok_or_else(|| ParseTableModeError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        assert_eq!(TableName::from("Order").to_string(), r#""Order""#);
        assert_eq!(
            TableName::from(r#"weird"; DROP TABLE x; --"#).to_string(),
            r#""weird""; DROP TABLE x; --""#
        );
        assert_eq!(
            TableName::from(("billing", "a.b")).to_string(),
            r#""billing"."a.b""#
        );
    }

    #[test]
    fn what_can_be_no_name_is_refused() {
        for name in ["", ".", "billing.", ".invoices", "nul\0", &"n".repeat(64)] {
            assert!(
                TableName::from(name).checked().unwrap_err().is_config(),
                "{name:?}"
            );
        }
        assert!(TableName::from("n".repeat(63)).checked().is_ok());
    }

    #[test]
    fn conflicts_are_mutual() {
        for one in TableMode::ALL {
            for other in TableMode::ALL {
                assert_eq!(
                    one.conflicts().contains(&other),
                    other.conflicts().contains(&one),
                    "{one} and {other}"
                );
            }
        }
    }

    #[test]
    fn modes_are_read_as_they_are_written() {
        for mode in TableMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
            assert_eq!(mode.sql().to_lowercase().parse(), Ok(mode));
        }
        assert!("EXCLUSIVELY".parse::<TableMode>().is_err());
    }
}
