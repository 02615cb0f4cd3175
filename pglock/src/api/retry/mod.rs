//! Retries of what waits for locks: short waits, which hold up nobody for long, and longer and longer pauses.

mod body_error;
mod schedule;
mod tries;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::database::Using;
use crate::drivers::{AsyncConnection, Connection};
use crate::error::{Error, humanize};
use crate::watcher::PrioritizeSideEffect;
use tries::{Tries, Try};

pub use body_error::BodyError;

/// As long as any other time of pglock's may be.
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// Runs statements that wait for locks, such as `ALTER TABLE`, in tries that each give up soon.
///
/// A statement that waits for a lock on a table holds up all who come after it, since they queue behind it. So it should not
/// wait for long, and should try again later instead: each try has a `lock_timeout`, which grows from 0.1 s to 10 s, and after
/// it comes a pause, which grows from 0.05 s to 10 minutes, a quarter more or less by chance. The 41 tries of the default take
/// about 40 minutes, of which they wait for locks, and others behind them, for a minute and a half. After the last one
/// the error names the session that was in the way. [The guide](crate::_guide::retry) says where the numbers are from.
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
    RetryLocks {
        tries: schedule::TRIES,
        longest: schedule::LONGEST_LIMIT,
        unbounded_last: false,
        signals: None,
        using: Using::DEFAULT,
    }
}

/// How to retry what waits for locks: see [`retry_locks`].
#[derive(Clone)]
#[must_use = "nothing is tried before `run` or `run_async`"]
pub struct RetryLocks {
    tries: u32,
    longest: Duration,
    unbounded_last: bool,
    /// From which try on those in the way are signaled, and how.
    signals: Option<(u32, Arc<dyn PrioritizeSideEffect>)>,
    using: Using,
}

impl RetryLocks {
    /// How many tries there are at most; 41 by default.
    ///
    /// They grow all the same, so this says for how long to go on: 10 tries take 3 seconds, 20 tries 24 seconds, 30 tries
    /// 3 minutes. From the 41st on each waits for 10 s, and pauses for 10 minutes.
    ///
    /// ```
    /// let retry = pglock::retry_locks().tries(20);
    /// ```
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// The longest `lock_timeout` of a try, 10 s by default: others may be held up for as long. It counts in milliseconds.
    ///
    /// ```
    /// let retry = pglock::retry_locks().longest(std::time::Duration::from_secs(2));
    /// ```
    pub fn longest(mut self, longest: Duration) -> Self {
        self.longest = longest;
        self
    }

    /// Whether the last try waits without a bound. By default it does not: a wait that does not end holds up all others.
    ///
    /// ```
    /// let retry = pglock::retry_locks().unbounded_last(true);
    /// ```
    pub fn unbounded_last(mut self, unbounded_last: bool) -> Self {
        self.unbounded_last = unbounded_last;
        self
    }

    /// From this try on, counted from 1, the sessions in the way are treated as the side effect says: see
    /// [`prioritize`](fn@crate::prioritize).
    ///
    /// That comes in the middle of the wait, or after a second of it. The `lock_timeout` of these tries is longer where
    /// [`Escalate`](struct@crate::Escalate) needs its grace period.
    ///
    /// ```
    /// let retry = pglock::retry_locks().prioritize_from(25, pglock::Terminate::new().never_application("pg_dump"));
    /// ```
    pub fn prioritize_from(
        mut self,
        try_number: u32,
        side_effect: impl PrioritizeSideEffect,
    ) -> Self {
        self.signals = Some((try_number, Arc::new(side_effect)));
        self
    }

    /// Where to look who is in the way: in the database that the connection belongs to. The default database if not set.
    ///
    /// Only [`prioritize_from`](RetryLocks::prioritize_from) needs it. Where there is no such database, or it can't be reached, the tries are made all the same, and
    /// the last error says why it does not name who was in the way.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// let admin = pglock::Database::builder("postgres://admin@db/app").build()?;
    /// let retry = pglock::retry_locks().using(&admin);
    /// # Ok(())
    /// # }
    /// ```
    pub fn using(mut self, database: impl Into<Using>) -> Self {
        self.using = database.into();
        self
    }

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
        C: Connection + ?Sized,
        E: From<Error> + BodyError<Form>,
    {
        let mut tries = Tries::new(self);
        loop {
            let this = tries.begin(connection)?;
            // Unwind safe: the panic is resumed before other code can see what the body left behind.
            let run = AssertUnwindSafe(|| in_try(&this, || body(connection)));
            let result = match catch_unwind(run) {
                Ok(result) => result,
                Err(panic) => {
                    this.abandon(connection);
                    resume_unwind(panic)
                }
            };
            if let Some(result) = tries.end(this, connection, result)? {
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
        C: AsyncConnection + ?Sized,
        E: From<Error> + BodyError<Form>,
    {
        let mut tries = Tries::new(self);
        loop {
            let mut this = tries.begin_async(connection).await?;
            let result = match this.frame() {
                Some(frame) => frame.run_async(body(&mut this)).await,
                None => body(&mut this).await,
            };
            if let Some(result) = tries.end_async(this, result).await? {
                return result;
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        let Self { tries, longest, .. } = self;
        if *tries == 0 {
            return Err(Error::config(
                "with no tries the body would never run; allow one or more with `tries`",
            ));
        }
        if longest.is_zero() || *longest > LONGEST {
            return Err(Error::config(format!(
                "the longest lock timeout of a try cannot be {}; write a time above zero, of 24 days at most",
                humanize::duration(*longest)
            )));
        }
        match &self.signals {
            Some((0, _)) => Err(Error::config(
                "tries are counted from 1; write `prioritize_from` 1 to prioritize all of them",
            )),
            Some((from, _)) if from > tries => Err(Error::config(format!(
                "try {from}, from which on to prioritize, is after the last one of {tries}; allow more `tries`, or prioritize from an earlier one"
            ))),
            Some(_) | None => Ok(()),
        }
    }
}

/// Runs a blocking body in a try.
fn in_try<R>(this: &Try, body: impl FnOnce() -> R) -> R {
    match this.frame() {
        Some(frame) => frame.run(body),
        None => body(),
    }
}

impl fmt::Debug for RetryLocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLocks")
            .field("tries", &self.tries)
            .field("longest", &self.longest)
            .field("unbounded_last", &self.unbounded_last)
            .field(
                "prioritize_from",
                &self.signals.as_ref().map(|(from, _)| from),
            )
            .field("using", &self.using)
            .finish()
    }
}
