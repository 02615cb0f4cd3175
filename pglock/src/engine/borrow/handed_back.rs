//! A batch that a borrower could not bring to its end, which pglock's thread takes over.

use tokio::sync::{OwnedMutexGuard, oneshot};

use super::hold::HeldLock;
use super::ids::Ticket;
use super::ledger::{Op, RequestId, SessionId};
use super::request::Request;
use super::session::Begun;
use crate::error::Error;

/// Where a lock goes; closed when the caller has gone away.
pub(super) type Reply = oneshot::Sender<Result<HeldLock, Error>>;

pub(super) struct HandedBack {
    pub(super) session: SessionId,
    /// Exclusive use of the session.
    pub(super) permit: OwnedMutexGuard<()>,
    pub(super) ops: Vec<Op>,
    pub(super) begun: Begun,
    /// Whose request it is. The caller of a release is in the register.
    pub(super) asks: Option<Asks>,
}

/// A caller whose request the ledger knows.
pub(super) struct Asks {
    pub(super) id: RequestId,
    pub(super) ticket: Ticket,
    pub(super) request: Request,
    pub(super) reply: Reply,
}
