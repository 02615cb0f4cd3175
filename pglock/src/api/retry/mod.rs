//! Retries of what waits for locks: short waits, which hold up nobody for long, and longer and longer pauses.

pub(crate) mod body_error;
pub(crate) mod connection;
pub(crate) mod expansion;
mod options;
mod schedule;
mod tries;
mod watched;

use crate::calls::call_context::{run_async_in, run_catching};
use crate::error::Error;
use body_error::Tried;
use connection::{AsyncOutsideTransaction, OutsideTransaction};
use expansion::{enter_try_on, enter_try_on_async, leave_try_on, leave_try_on_async, tries_of};

pub use body_error::BodyError;
pub use options::RetryLocks;

/// Runs statements that wait for locks, such as `ALTER TABLE`, in tries that each give up soon.
///
/// A statement that waits for a lock on a table holds up all who come after it, since they queue behind it. So it should not
/// wait for long, and should try again later instead: each try has a `lock_timeout`, which grows from 0.1 s to 10 s, and after
/// it comes a pause, which grows from 0.05 s to 10 minutes, a quarter more or less by chance. The 41 tries of the default take
/// about 40 minutes, of which they wait for locks, and others behind them, for a minute and a half. After the last one
/// the error names the session that was in the way. [The guide](crate::_guide::retry) says where the numbers are from.
///
/// By the attribute: [`macro@retry`](macro@crate::retry).
///
/// See also [`lock_timeout`](https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT), and the
/// locks that each statement takes:
/// [table-level locks](https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// # client.batch_execute("CREATE TABLE orders ()")?;
/// pglock::retry_locks().run(&mut client, |client| -> Result<(), Box<dyn std::error::Error>> {
///     Ok(client.batch_execute("ALTER TABLE orders ADD total numeric")?)
/// })?;
/// # Ok(())
/// # }
/// ```
pub fn retry_locks() -> RetryLocks {
    RetryLocks::new()
}

impl RetryLocks {
    /// Runs the body, and again after a pause as long as a lock times out in it.
    ///
    /// Each run of the body should be a whole: its own transaction, or one statement. A transaction that it leaves open when a
    /// lock times out is rolled back. During the pause the connection is idle, in no transaction, and with its own
    /// `lock_timeout`.
    ///
    /// What [`BodyError`] says is a lock that timed out; a lock of pglock's that was busy counts too. All else that the body
    /// returns is returned at once.
    ///
    /// # Errors
    ///
    /// The body's, if no lock timed out in it. [`ErrorKind::Busy`](crate::ErrorKind::Busy) when the last try has timed out:
    /// its [`holder`](Error::holder) is who was last seen in the way, and its source is what the server said.
    /// [`Config`](crate::ErrorKind::Config) in a transaction, also one begun by hand, and for options that cannot work: no
    /// tries, [`prioritize_from`](RetryLocks::prioritize_from) a try that there is not.
    /// [`Connect`](crate::ErrorKind::Connect) or [`Database`](crate::ErrorKind::Database) when `lock_timeout` could not be set
    /// or restored. With `prioritize_from` also those of [`Prioritize::on`](crate::Prioritize::on) and
    /// [`finish`](crate::PrioritizeScope::finish).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let mut client = database.connect();
    /// # client.batch_execute("CREATE TABLE orders ()")?;
    /// # let mut report = database.connect_as("report");
    /// # report.batch_execute("BEGIN; SELECT FROM orders")?;
    /// type Error = Box<dyn std::error::Error>;
    ///
    /// let migrated = pglock::retry_locks().tries(2).run(&mut client, |client| -> Result<(), Error> {
    ///     let mut tx = client.transaction()?;
    ///     tx.batch_execute("ALTER TABLE orders ADD total numeric")?;
    ///     tx.batch_execute("ALTER TABLE orders ADD paid boolean")?;
    ///     Ok(tx.commit()?)
    /// });
    /// let error = migrated.unwrap_err();
    /// let error: &pglock::Error = error.downcast_ref().unwrap();
    /// println!("{error}"); // each of 2 tries ended with a wait for a lock that timed out, .. held by pid 42 ("report", ..)
    /// # assert!(error.is_busy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<C, T, E, Form>(
        self,
        connection: &mut C,
        mut body: impl FnMut(&mut C) -> Result<T, E>,
    ) -> Result<T, E>
    where
        C: OutsideTransaction + ?Sized,
        E: From<Error> + BodyError<Form>,
    {
        let mut tries = tries_of(self);
        loop {
            let (entered, context) = enter_try_on(&mut tries, connection)?;
            let result = run_catching(context, || body(connection));
            let outcome = Tried::outcome;
            if let Some(result) = leave_try_on(&mut tries, entered, connection, result, outcome)? {
                return result;
            }
        }
    }

    /// Like [`run`](RetryLocks::run), for an async connection and body.
    ///
    /// # Cancel safety
    ///
    /// It can be dropped at any point, and called again: the body is dropped, nobody is looked for any more, and
    /// `lock_timeout` has its previous value before the connection's next statement, as with
    /// [`timeout`](crate::LockTimeout::on_async). A transaction that the body has begun by hand stays open.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (database, mut client) = pglock_tests::async_client().await;
    /// # pglock::configure(database.url())?;
    /// # client.batch_execute("CREATE TABLE orders ()").await?;
    /// type Error = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// let migrate = async |client: &mut tokio_postgres::Client| -> Result<(), Error> {
    ///     Ok(client.batch_execute("ALTER TABLE orders ADD total numeric").await?)
    /// };
    /// pglock::retry_locks().run_async(&mut client, migrate).await.map_err(|error| error.to_string())?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn run_async<C, T, E, Form>(
        self,
        connection: &mut C,
        mut body: impl AsyncFnMut(&mut C) -> Result<T, E>,
    ) -> Result<T, E>
    where
        C: AsyncOutsideTransaction + ?Sized,
        E: From<Error> + BodyError<Form>,
    {
        let mut tries = tries_of(self);
        loop {
            let (mut entered, context) = enter_try_on_async(&mut tries, connection).await?;
            let result = run_async_in(context, body(&mut entered)).await;
            let left = leave_try_on_async(&mut tries, entered, result, Tried::outcome);
            if let Some(result) = left.await? {
                return result;
            }
        }
    }
}
