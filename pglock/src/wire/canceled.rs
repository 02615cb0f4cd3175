//! Statements that have to succeed, though somebody may cancel what the session does, over and over.

use tokio_postgres::error::SqlState;

use super::SimpleQuery;
use crate::error::Failure;
use crate::sql::Rows;
use crate::sql::cancel::TERMINATE_OWN_SESSION;

/// How often a statement is repeated.
const CANCELED_AT_MOST: usize = 1_000;

/// After how many answers that could mean either a session is not told again to end.
const OTHER_ANSWERS_AT_MOST: usize = 100;

/// Repeats what may be canceled as the statement before was. A session that many use is not given up for that.
pub(crate) async fn until_not_canceled(
    wire: &mut impl SimpleQuery,
    statements: &str,
) -> Result<Rows, Failure> {
    let mut answer = wire.simple_query(statements).await;
    for _ in 0..CANCELED_AT_MOST {
        match answer {
            Err(failure) if failure.is(&SqlState::QUERY_CANCELED) => {}
            answer => return answer,
        }
        answer = wire.simple_query(statements).await;
    }
    answer
}

/// Ends a session that may hold a lock which could not be released: only its end is certain to do that. Not every driver
/// says whether a statement was canceled, so any other answer than the end is asked again.
pub(crate) async fn end_session(wire: &mut impl SimpleQuery) {
    let mut other_answers = 0;
    for _ in 0..CANCELED_AT_MOST {
        match wire.simple_query(TERMINATE_OWN_SESSION).await {
            Err(failure) if failure.session_ended => return,
            Err(failure) if failure.is(&SqlState::QUERY_CANCELED) => {}
            // A server that does not know the function, say.
            Err(failure) if failure.sql_state.is_some() => return,
            Ok(_) | Err(_) => {
                other_answers += 1;
                if other_answers == OTHER_ANSWERS_AT_MOST {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use postgres::Client;

    use super::*;

    /// A connection whose statements somebody cancels.
    pub(crate) struct Canceled<'c> {
        pub(crate) client: &'c mut Client,
        /// The next one, when it has done all that it does.
        pub(crate) at_its_end: bool,
        /// How many of those that follow, before they do anything.
        pub(crate) as_they_begin: usize,
    }

    impl SimpleQuery for Canceled<'_> {
        async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
            if std::mem::take(&mut self.at_its_end) {
                let cancel = "SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)";
                return Ok(self
                    .client
                    .simple_query(&format!("{sql}; {cancel}"))?
                    .into());
            }
            if self.as_they_begin > 0 {
                self.as_they_begin -= 1;
                return Err(Failure {
                    sql_state: Some(SqlState::QUERY_CANCELED),
                    ..Failure::local("canceled", false)
                });
            }
            Ok(self.client.simple_query(sql)?.into())
        }
    }
}
