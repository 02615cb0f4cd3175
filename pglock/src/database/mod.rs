//! Databases: where pglock's own sessions connect, by default and by name.

mod builder;
mod cancel_request;
mod handle;
mod registry;
pub(crate) mod tls;
mod url;
mod why_no_session;

pub(crate) use why_no_session::why_no_session;

pub use builder::{DatabaseBuilder, DatabaseConfig};
pub use handle::Database;
pub use registry::{Using, configure};
