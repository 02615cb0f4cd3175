//! Every statement's text, and the shape of its answer. Values are formatted integers or bound, never text from outside.
//!
//! Texts are for the simple protocol: the statements of one text are one round trip and, outside a transaction,
//! one implicit transaction, which ends what `set_config(.., true)` set.
//!
//! Here and in the other texts, nothing of a user's is used instead of what is Postgres', whatever the `search_path`:
//! functions, views and types are named with `pg_catalog.`, except for types that are words of SQL (`bigint`), and
//! operators stand between just the types that Postgres has them for, since one that fits better would be found first. So
//! an OID is compared with `'1'`, which is read as one, and not with `1`.

pub(crate) mod advisory;
pub(crate) mod backend;
pub(crate) mod cancel;
pub(crate) mod holder;
pub(crate) mod lock_timeout;
pub(crate) mod parts;
mod rows;
pub(crate) mod session;
mod statement;
pub(crate) mod transaction;

pub(crate) use rows::{Row, Rows};
pub(crate) use statement::{Statement, Values};
