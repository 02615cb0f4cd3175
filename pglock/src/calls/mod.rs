//! The calls of this process and the locks that they hold, and guards, which hold a lock without a call.

mod after_grant;
mod all;
pub(crate) mod call;
pub(crate) mod call_context;
pub(crate) mod call_stack;
mod caller;
mod guard;
mod guards_here;
mod limit;
pub(crate) mod on_connection;

pub use call_stack::{check, token};
pub use guard::{AsyncConnectionGuard, ConnectionGuard, Guard};
