//! Locks in Postgres, as attributes.
#![doc = ""]
#![cfg_attr(doctest, doc = "")]

#[cfg(target_family = "wasm")]
compile_error!("pglock needs threads and sockets, which wasm doesn't have");

mod advisory;
mod call;
mod chain;
mod connection;
mod database;
mod drivers;
mod engine;
mod error;
mod guard;
mod hold;
mod key;
mod options;
mod outcome;
mod park;
mod protocol;
mod site;
mod skippable;
mod sql;
mod wire;

#[doc(hidden)]
#[allow(missing_docs)]
#[path = "rt.rs"]
pub mod __rt;

pub use advisory::{
    Advisory, AdvisoryOn, AdvisoryOnAsync, SessionScope, TransactionScope, advisory,
};
pub use chain::check;
pub use database::{Database, DatabaseBuilder, DatabaseConfig, Using, configure};
pub use drivers::{AsyncConnection, AsyncInTransaction, Connection, InTransaction};
pub use error::{Error, ErrorKind, Holder};
pub use guard::{AsyncConnectionGuard, ConnectionGuard, Guard};
pub use key::{LockId, advisory_id};
pub use options::Timeout;
pub use pglock_macros::advisory;
pub use skippable::Skippable;
