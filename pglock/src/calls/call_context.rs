//! What a body on a connection of the caller's runs in. Expanded code has it between entering a scope and leaving that.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::calls::call_stack::Frame;

/// The call that a body runs in, whose locks nested calls inherit; none for a lock timeout.
pub struct CallContext(Option<Arc<Frame>>);

impl CallContext {
    pub(crate) fn within(frame: Arc<Frame>) -> Self {
        Self(Some(frame))
    }

    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl From<Option<Arc<Frame>>> for CallContext {
    fn from(frame: Option<Arc<Frame>>) -> Self {
        Self(frame)
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CallContext")
            .field(&self.0.is_some())
            .finish()
    }
}

/// Runs the body, and returns its panic as a value, so that the scope is left before the panic goes on.
pub fn run_catching<R>(
    CallContext(frame): CallContext,
    body: impl FnOnce() -> R,
) -> std::thread::Result<R> {
    // Unwind safe: the panic is resumed before other code can see what the body left behind.
    catch_unwind(AssertUnwindSafe(|| match frame {
        Some(frame) => frame.run(body),
        None => body(),
    }))
}

/// Runs the body. A panic goes on at once: dropping the call leaves the scope.
pub fn run_async_in<F: Future>(
    CallContext(frame): CallContext,
    body: F,
) -> impl Future<Output = F::Output> {
    // Boxed: otherwise each async function that it is passed to, and each enclosing attribute, would reserve space for it.
    let body = Box::pin(body);
    async move {
        match frame {
            Some(frame) => frame.run_async(body).await,
            None => body.await,
        }
    }
}
