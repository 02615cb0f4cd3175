//! What is asked of the server once a lock has been granted: whether a run is due, and a token.

use std::rc::Rc;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::pool::Pool;
use crate::error::{Error, Failure};
use crate::model::lock_id::LockId;
use crate::model::lock_request::LockSpec;
use crate::sql::Rows;
use crate::sql::shared::runs::{self, RunBefore};

impl Pool {
    /// Notes that a run begins; or else the run before. The table is made where it is missing, and the role may make it.
    pub(super) async fn begin_run(
        self: &Rc<Self>,
        lock: &LockSpec,
        period: Duration,
    ) -> Result<Option<RunBefore>, Error> {
        let begin = || self.ask_for(&lock.id, runs::begin(lock, period));
        let refused = match begin().await? {
            Ok(rows) => return Ok(runs::read_begun(&rows)),
            Err(failure) if !is_missing(&failure) => failure,
            Err(_) => {
                // Somebody else may make it at the same moment, which is as good.
                let made = self.ask_for(&lock.id, runs::SCHEMA.to_owned()).await?;
                match (begin().await?, made) {
                    (Ok(rows), _) => return Ok(runs::read_begun(&rows)),
                    (Err(failure), Err(not_made)) if is_missing(&failure) => not_made,
                    (Err(failure), _) => failure,
                }
            }
        };
        Err(Error::no_runs(&lock.id, refused))
    }

    /// A number that only rises.
    pub(super) async fn token(self: &Rc<Self>, lock: &LockId) -> Result<u64, Error> {
        match self.ask_for(lock, runs::TOKEN.to_owned()).await? {
            Ok(rows) => runs::read_token(&rows).ok_or_else(|| Error::no_token(lock, None)),
            Err(failure) => Err(Error::no_token(lock, Some(failure))),
        }
    }

    async fn ask_for(
        self: &Rc<Self>,
        lock: &LockId,
        sql: String,
    ) -> Result<Result<Rows, Failure>, Error> {
        self.on_helper_or_why(&format_args!("lock {lock}"), sql)
            .await
    }
}

fn is_missing(failure: &Failure) -> bool {
    failure.is(&SqlState::UNDEFINED_TABLE) || failure.is(&SqlState::INVALID_SCHEMA_NAME)
}
