//! What this process holds, call by call, and the guards that hold without a call.

pub(crate) mod call;
pub(crate) mod call_stack;
mod guard;
pub(crate) mod on_connection;

pub use call_stack::check;
pub use guard::{AsyncConnectionGuard, ConnectionGuard, Guard};
