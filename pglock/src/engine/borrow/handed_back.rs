//! A batch that a borrower could not bring to its end, which pglock's thread takes over.

use tokio::sync::{OwnedMutexGuard, oneshot};

use crate::engine::hold::HeldLock;
use crate::engine::ids::Ticket;
use crate::engine::ledger::{Op, RequestId, SessionId};
use crate::engine::request::Request;
use crate::engine::session::Begun;
use crate::error::Error;

/// Where a lock goes; closed when the caller has gone away.
pub(in crate::engine) type Reply = oneshot::Sender<Result<HeldLock, Error>>;

pub(in crate::engine) struct HandedBack {
    pub(in crate::engine) session: SessionId,
    /// Exclusive use of the session.
    pub(in crate::engine) permit: OwnedMutexGuard<()>,
    pub(in crate::engine) ops: Vec<Op>,
    pub(in crate::engine) begun: Begun,
    /// Whose request it is. The caller of a release is in the register.
    pub(in crate::engine) asks: Option<Asks>,
}

/// A caller whose request the ledger knows.
pub(in crate::engine) struct Asks {
    pub(in crate::engine) id: RequestId,
    pub(in crate::engine) ticket: Ticket,
    pub(in crate::engine) request: Request,
    pub(in crate::engine) reply: Reply,
}
