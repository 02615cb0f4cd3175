//! What is done once a lock has been granted: runs that are due, and tokens.

use std::time::Duration;

use super::{Advisory, Form, OneLock};
use crate::engine::GrantRules;
use crate::sql::shared::runs;

/// The statements that make the table `pglock.runs`, which [`once_in`](Advisory::once_in) needs: for a migration, where the role
/// of the program may not make tables.
///
/// ```
/// assert!(pglock::schema().contains("CREATE TABLE IF NOT EXISTS pglock.runs"));
/// ```
#[must_use]
pub fn schema() -> &'static str {
    runs::SCHEMA
}

impl<S> Advisory<S> {
    /// Not again within this time of the last start, whoever ran it and whatever became of that: for jobs that many hosts
    /// start on a schedule.
    ///
    /// Where it is not due, the lock is busy: an error, or `None` of the `try_` verbs, or skipped. The clock is that of the
    /// database, so those of the hosts don't matter. Unlike [`hold_at_least`](Advisory::hold_at_least) it outlasts its process.
    ///
    /// Take a little less than the period of the schedule, `55m` for each hour: with an hour, a start that is a moment early
    /// would leave a whole one out. A run that failed has run, and a call that ended with an error or was dropped as it began may have. After a failover to a standby that lags, the last start may be
    /// forgotten; and where the server's clock is set back, runs are left out until it has caught up.
    ///
    /// With [`shared`](Advisory::shared), a run is beside other shared holders, and of those that start at once one runs. But a
    /// run that lasts longer than the period is then overlapped by the next one.
    ///
    /// The last start of each lock is a row of the table `pglock.runs`, which is made at the first call, or by what
    /// [`schema`] says. It has a row for each ID, also of those with placeholders.
    ///
    /// # Errors
    ///
    /// Of the methods that acquire it: [`Config`](crate::ErrorKind::Config) where the role cannot make or write the table, for
    /// zero, for more than ten years, on your own connections, with [`xact`](Advisory::xact), and inside a call that holds the lock
    /// without this.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use std::time::Duration;
    ///
    /// let lock = pglock::advisory("digest").once_in(Duration::from_secs(55 * 60));
    /// lock.clone().run(|| Ok::<_, pglock::Error>(()))?;
    /// let again = lock.run(|| Ok::<_, pglock::Error>(())).unwrap_err();
    /// assert!(again.is_busy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn once_in(self, period: Duration) -> Self
    where
        S: OneLock,
    {
        self.with_rules(|rules| rules.once_in = Some(period))
    }

    /// Gives each holder a [token](crate::token): a number that is larger than that of any holder before, in the whole cluster,
    /// and also after a crash of the server.
    ///
    /// If the work is in this database, you need none: take the lock [on the connection](Advisory::on) or [in the
    /// transaction](Advisory::acquire_xact) that does the work. A token is for work elsewhere, where a holder that has lost its
    /// lock without knowing may still write: that place keeps the largest token it has seen, and refuses smaller ones. A token that
    /// nobody compares does nothing.
    ///
    /// It is a `u64`. For a parameter of type `bigint`, `i64::try_from(token)` makes the number that the server has given.
    ///
    /// It takes one round trip more, and a flush of the server's log. It is not sure to rise over a failover to a standby that
    /// lags. Who has lost the lock by then gets none: [`Lost`](crate::ErrorKind::Lost).
    ///
    /// See also
    /// [`pg_current_xact_id`](https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT).
    ///
    /// # Errors
    ///
    /// Of the methods that acquire it: [`Config`](crate::ErrorKind::Config) on your own connections, with
    /// [`xact`](Advisory::xact), with [`shared`](Advisory::shared), since of two that hold the lock at the same time the one with
    /// the smaller token would be refused, and inside a call that holds the lock without this.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// let one = pglock::advisory("ledger").fenced().run(pglock::token)?;
    /// let two = pglock::advisory("ledger").fenced().run(pglock::token)?;
    /// assert!(one < two);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fenced(self) -> Self
    where
        S: OneLock,
    {
        self.with_rules(|rules| rules.fenced = true)
    }

    fn with_rules(mut self, change: impl FnOnce(&mut GrantRules)) -> Self {
        let mut rules = match self.form.as_deref() {
            Some(Form::Ruled(rules)) => *rules,
            _ => GrantRules::default(),
        };
        change(&mut rules);
        self.form = Some(Box::new(Form::Ruled(rules)));
        self
    }
}
