//! The process that created a value.

use super::inherited;

/// The process that created a value. After a fork, the child has a copy of the value and of the sockets behind it. It
/// must use neither, since the parent still uses both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerProcess(u32);

impl OwnerProcess {
    /// This process. If it is a child, the copies of the parent's sockets are closed.
    pub(crate) fn current() -> Self {
        inherited::close_copies_in_child();
        Self(std::process::id())
    }

    /// Whether this is that process. If it is a child, the copies of the parent's sockets are closed.
    pub(crate) fn is_current(self) -> bool {
        let is_current = self.0 == std::process::id();
        if !is_current {
            inherited::close_copies();
        }
        is_current
    }
}
