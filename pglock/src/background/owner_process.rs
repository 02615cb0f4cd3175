//! The process that created a value.

/// The process that created a value. After a fork, the child has a copy of the value and of the sockets behind it. It
/// must use neither, since the parent still uses both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerProcess(u32);

impl OwnerProcess {
    /// This process.
    pub(crate) fn current() -> Self {
        Self(std::process::id())
    }

    pub(crate) fn is_current(self) -> bool {
        self.0 == std::process::id()
    }
}
