//! Whether a database can be reached, and its sessions can hold locks.

use std::rc::Rc;

use super::{Lease, Pool};
use crate::database::why_no_session;
use crate::engine::session::answer::answered;
use crate::error::{Error, Failure};
use crate::model::options::Scope;
use crate::wire::SimpleQuery as _;

/// What its session is opened for, in errors.
const OPENED_FOR: &str = "a lock";

impl Pool {
    /// Asks the server something on a session that could hold a lock.
    pub(in crate::engine) async fn ping(self: &Rc<Self>) -> Result<(), Error> {
        let lease = self.session(Scope::Session, &OPENED_FOR).await?;
        match self.question(&lease).await {
            // It may have died unnoticed.
            Err(_) if lease.was_idle() => {
                drop(lease);
                let lease = self.new_session(Scope::Session, &OPENED_FOR).await?;
                self.question(&lease).await
            }
            answer => answer,
        }
    }

    async fn question(&self, lease: &Lease) -> Result<(), Error> {
        let session = lease.session();
        if !session.has_server() {
            return Ok(());
        }
        let liveness = self.database().liveness();
        let place = || self.database().place();
        let exclusive = session.exclusive().await;
        let mut wire = exclusive.wire();
        match answered(session, liveness, wire.simple_query("")).await {
            Some(Ok(_)) => Ok(()),
            Some(Err(failure)) => Err(no_session(&place(), failure)),
            None => Err(Error::connect_timeout(
                &OPENED_FOR,
                &place(),
                liveness.answer(),
            )),
        }
    }
}

fn no_session(place: &str, failure: Failure) -> Error {
    Error::no_session(&OPENED_FOR, place, why_no_session(&failure), failure)
}
