//! Blocking work on a thread of its own.

use std::thread;

/// Runs `work` on another thread and waits for it. `postgres::Client` panics where it is used,
/// or dropped, inside a tokio runtime, and tests of async functions are inside one.
pub fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let result = thread::scope(|scope| scope.spawn(work).join());
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
