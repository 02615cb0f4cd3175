//! The identity of a session: the server reuses pids, so a pid alone may mean another session later.

/// A session in the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Backend {
    pub(crate) pid: i32,
    /// When it connected, in microseconds since 1970; `None` when our role may not see it.
    pub(crate) started: Option<i64>,
}
