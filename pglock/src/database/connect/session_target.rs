//! Which servers may have pglock's sessions.

use tokio_postgres::Client;

use crate::database::tls::Driver;
use crate::error::Failure;
use crate::sql;
use crate::sql::Rows;

/// Which hosts of the URL may have pglock's sessions: its `target_session_attrs`, but for what only a standby can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::database) enum SessionTarget {
    Any,
    Primary,
    ReadWrite,
    ReadOnly,
}

impl SessionTarget {
    /// Fails if the session is on a host where it may not be.
    pub(super) async fn check(self, client: &Client, driver: &mut Driver) -> Result<(), Failure> {
        let question = match self {
            Self::Any => return Ok(()),
            Self::Primary => sql::session::IS_PRIMARY,
            Self::ReadWrite => sql::session::IS_READ_WRITE,
            Self::ReadOnly => sql::session::IS_READ_ONLY,
        };
        let answer = tokio::select! {
            answer = client.simple_query(question) => Rows::from(answer?),
            ended = driver => {
                ended?;
                return Err(Failure::session_ended());
            }
        };
        if answer.last_bool() == Some(true) {
            return Ok(());
        }
        Err(Failure::refused(
            "the host is not what target_session_attrs asks for",
        ))
    }
}
