//! Which process made a value.

/// The process that made a value. After a fork, the child has a copy of the value and of the sockets behind it, and must
/// use neither: the parent goes on with both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerProcess(u32);

impl OwnerProcess {
    /// The one that runs now.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn is_current(self) -> bool {
        self.0 == std::process::id()
    }
}
