//! Databases: where pglock's own sessions connect, by default and by name.

mod addresses;
mod builder;
mod cancel_request;
mod connect;
mod conninfo;
mod handle;
mod registry;
mod session_name;
mod socket;
mod source;
pub(crate) mod tls;
mod why_no_session;

pub(crate) use connect::Connected;
pub(crate) use socket::SocketSwitch;
pub(crate) use tls::Driver;
pub(crate) use why_no_session::why_no_session;

pub use builder::DatabaseBuilder;
pub use handle::Database;
pub use registry::{Using, configure};
pub use source::DatabaseConfig;
