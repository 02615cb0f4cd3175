//! Databases: where pglock's own sessions connect, by default and by name.

mod builder;
mod connect;
mod conninfo;
mod credentials;
mod handle;
#[cfg(feature = "testing")]
mod in_process;
mod local;
mod registry;
mod session_name;
mod source;
pub(crate) mod tls;
mod why_no_session;

pub(crate) use connect::{Connected, SocketSwitch};
pub(crate) use tls::Driver;
pub(crate) use why_no_session::why_no_session;

pub use builder::DatabaseBuilder;
pub use handle::Database;
pub use registry::{Using, configure};
pub use source::DatabaseConfig;
