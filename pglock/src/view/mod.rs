//! What Postgres shows of locks and sessions: its fields, the words in them, filters over them, and rows as values.

pub(crate) mod fields;
mod filter;
mod rows;
pub(crate) mod sql;
mod words;

pub(crate) use filter::Condition;
pub(crate) use rows::{FromRow, read};

pub use rows::{Activity, BlockedLock, Lock};
pub use words::{LockKind, LockMode, ParseWordError, RelKind, State};
