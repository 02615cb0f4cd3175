//! A connection for the caller's own statements.

use tokio_postgres::Client;

use crate::background;
use crate::database::{Connected, Database, why_no_session};
use crate::error::Error;

impl Database {
    /// Opens a connection for statements of your own, connected as pglock's own sessions are: to the same host, with the
    /// same TLS, timeouts and application name.
    ///
    /// pglock's thread drives it until the client is dropped. It is not one of pglock's own sessions: no lock is on it, and
    /// [`max_sessions`](crate::DatabaseBuilder::max_sessions) does not count it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Connect`](crate::ErrorKind::Connect) when the server cannot be reached, or refuses the connection.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point: a connection that is opened nevertheless is closed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// let reports = pglock::Database::builder(database.url()).build()?;
    /// let mut client = reports.connect_async().await?;
    /// assert!(pglock::wait_graph().fetch_async(&mut client).await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_async(&self) -> Result<Client, Error> {
        self.expect_server(&"`connect_async`")?;
        let database = self.clone();
        let opened = background::start()?.ask(move || async move {
            let bound = database.connect_timeout();
            match tokio::time::timeout(bound, database.connect()).await {
                Ok(Ok(Connected { client, driver, .. })) => {
                    // Its end shows at the client.
                    tokio::task::spawn_local(async { drop(driver.await) });
                    Ok(client)
                }
                Ok(Err(failure)) => {
                    let why = why_no_session(&failure);
                    Err(Error::no_session(
                        &OPENED_FOR,
                        &database.place(),
                        why,
                        failure,
                    ))
                }
                Err(_) => Err(Error::connect_timeout(
                    &OPENED_FOR,
                    &database.place(),
                    bound,
                )),
            }
        });
        opened.await.map_err(|_| background::thread_ended())?
    }
}

const OPENED_FOR: &str = "a connection of this program";
