//! The text of statements, and the rows of their answers.
//!
//! Texts contain integers, or strings that are quoted here; other values are bound. They are for the simple protocol: the
//! statements of one text are one round trip and, outside a transaction, one implicit transaction, whose end resets
//! what `set_config(.., true)` set.
//!
//! No text, here or elsewhere, may call a user's function, operator or type instead of Postgres', whatever the
//! `search_path`. So functions, views and types are named with `pg_catalog.`, except for types that are keywords of SQL
//! (`bigint`). Operators cannot be named that way in a readable text, so their operands have exactly the types of Postgres'
//! operator: for others, a user's operator could match better. An OID, for example, is compared with `'1'`, which is parsed
//! as an OID, and not with the integer `1`.

pub(crate) mod advisory;
pub(crate) mod backend;
pub(crate) mod cancel;
pub(crate) mod comment;
pub(crate) mod holder;
pub(crate) mod lock_timeout;
pub(crate) mod lossy;
pub(crate) mod parts;
mod rows;
pub(crate) mod session;
pub(crate) mod shared;
mod statement;
pub(crate) mod transaction;

pub(crate) use rows::{Row, Rows};
pub(crate) use statement::{Statement, Values};
