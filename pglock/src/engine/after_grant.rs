//! What is asked of the server once a lock has been granted: whether a run is due, and a token.

use std::rc::Rc;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::pool::Pool;
use crate::error::{Error, Failure};
use crate::model::lock_id::LockId;
use crate::model::lock_request::LockSpec;
use crate::sql::Rows;
use crate::sql::shared::runs::{self, RunBefore, Token};

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
    pub(super) async fn token(self: &Rc<Self>, lock: &LockSpec, pid: i32) -> Result<u64, Error> {
        let id = &lock.id;
        let answer = self.ask_for(id, runs::token(lock, pid)).await?;
        let rows = answer.map_err(|failure| Error::no_token(id, failure))?;
        match runs::read_token(&rows) {
            Some(Token::Given(token)) => Ok(token),
            Some(Token::Lost) | None => Err(Error::lost(id, "its session has ended")),
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

#[cfg(test)]
mod tests {
    use pglock_tests::database;

    use super::*;
    use crate::background::block_on;
    use crate::drivers::BlockingWire;
    use crate::model::options::AdvisoryMode;
    use crate::wire::SimpleQuery as _;

    #[test]
    fn a_token_is_for_the_session_that_has_the_lock() {
        let db = database();
        let (mut client, mut helper) = (db.connect(), db.connect());
        let pid: i32 = client
            .query_one("SELECT pg_backend_pid() FROM pg_advisory_lock(1)", &[])
            .unwrap()
            .get(0);
        let lock = LockSpec::new(1.into(), AdvisoryMode::Exclusive, None).unwrap();
        let mut ask = |pid| {
            let rows = block_on(BlockingWire(&mut helper).simple_query(&runs::token(&lock, pid)));
            runs::read_token(&rows.unwrap())
        };
        assert!(matches!(ask(pid), Some(Token::Given(_))));
        assert!(matches!(ask(pid + 1), Some(Token::Lost)));
    }
}
