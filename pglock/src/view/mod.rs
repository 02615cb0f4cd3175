//! Postgres' views of locks and sessions: their columns and enums, filters over them, their SQL, and rows as values.

mod enums;
pub(crate) mod fields;
mod filter;
#[cfg(test)]
pub(crate) mod fixture;
mod read;
mod rows;
#[cfg(feature = "serde")]
mod serialize;
pub(crate) mod sql;
pub(crate) mod text;

pub(crate) use filter::{Condition, Matches};
pub(crate) use read::read;
pub(crate) use rows::{FromRow, Sessions};

pub use enums::{LockKind, LockMode, ParseNameError, RelKind, State};
pub use rows::{Activity, BlockedLock, Lock};
