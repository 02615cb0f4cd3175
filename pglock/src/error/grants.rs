//! Errors of what is more than a lock: permits, runs that are due, tokens.

use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::{Error, ErrorKind, Failure, Found, LastRun, SEE_SOURCE, SKIP, humanize};

impl Error {
    /// The last start of what is [`once_in`](crate::Advisory::once_in) and not due again; `None` for all other errors, also of a
    /// lock that somebody holds.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// use std::time::Duration;
    ///
    /// let lock = pglock::advisory("digest").once_in(Duration::from_secs(55 * 60));
    /// lock.clone().acquire()?.release()?;
    /// let error = lock.acquire().unwrap_err();
    /// let last = error.last_run().expect("it has just been run");
    /// println!("{} ran it {:?} ago", last.application_name, last.ago);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn last_run(&self) -> Option<&LastRun> {
        self.0.last_run.as_ref()
    }
}

/// What to write for `once_in`, with a number only where the time between two starts is plain.
fn below_the_period(period: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let nearly = |whole: u64| period.as_secs().abs_diff(whole) <= whole / 60;
    let (each, less, whole) = if nearly(HOUR) {
        ("for a run each hour", "`once_in = \"55m\"`", "an hour")
    } else if nearly(DAY) {
        ("for a run each day", "`once_in = \"23h\"`", "a day")
    } else {
        (
            "as `once_in`",
            "a little less than the time between two starts",
            "all of it",
        )
    };
    format!("{each} write {less}: with {whole}, a start that is a moment early leaves one out")
}

impl Error {
    /// All permits of a limit are taken; `busy` says who has one.
    pub(crate) fn no_permit(
        id: &dyn fmt::Display,
        count: u32,
        waited: Option<Duration>,
        busy: Self,
    ) -> Self {
        let found = match busy.0.holder {
            Some(holder) => Found::Holder(Box::new(holder)),
            None => Found::Unknown,
        };
        let what = format!("all {count} permits of limit {id} are taken");
        Self::busy_as(&what, "one is ", waited, found, SKIP)
    }

    /// Somebody keeps the lock that who is first in line has, while there are free permits.
    pub(crate) fn nobody_may_begin(
        id: &dyn fmt::Display,
        waited: Option<Duration>,
        busy: Self,
    ) -> Self {
        let found = match busy.0.holder {
            Some(holder) => Found::Holder(Box::new(holder)),
            None => Found::Unknown,
        };
        let what = format!("nobody may begin under limit {id}");
        Self::busy_as(&what, "the lock with its name is ", waited, found, SKIP)
    }

    /// What is `once_in` began not long ago. It is a busy lock to those who skip.
    pub(crate) fn not_due(
        id: &dyn fmt::Display,
        period: Duration,
        ago: Duration,
        ran_by: &str,
    ) -> Self {
        let by = if ran_by.is_empty() {
            String::new()
        } else {
            format!(" by {ran_by:?}")
        };
        let message = format!(
            "lock {id} is not due: it was run{by} {} ago, and is run once in {}",
            humanize::duration(ago),
            humanize::duration(period)
        );
        let mut error = Self::new(ErrorKind::Busy, message);
        error.0.last_run = Some(LastRun {
            application_name: ran_by.to_owned(),
            ago,
            once_in: period,
        });
        error.0.hint = Some(below_the_period(period));
        error
    }

    /// The table of runs could not be used.
    pub(crate) fn no_runs(id: &dyn fmt::Display, failure: Failure) -> Self {
        if failure.is(&SqlState::INSUFFICIENT_PRIVILEGE)
            || failure.is(&SqlState::UNDEFINED_TABLE)
            || failure.is(&SqlState::INVALID_SCHEMA_NAME)
        {
            return Self::config(format!(
                "lock {id} is `once_in`, and the table `pglock.runs`, which says when it was run last, cannot be made or written by this role; have its owner run what `pglock::schema()` says, and `GRANT USAGE ON SCHEMA pglock` and `GRANT SELECT, INSERT, UPDATE ON pglock.runs` to this role"
            ))
            .caused_by(failure);
        }
        Self::new(
            ErrorKind::Database,
            format!(
                "lock {id} is `once_in`, and the table `pglock.runs`, which says when it was run last, could not be written; {SEE_SOURCE}"
            ),
        )
        .caused_by(failure)
    }

    pub(crate) fn no_token(id: &dyn fmt::Display, failure: Failure) -> Self {
        Self::new(
            ErrorKind::Database,
            format!("lock {id} is `fenced`, and the server gave no token; {SEE_SOURCE}"),
        )
        .caused_by(failure)
    }

    /// A call inside another one would share a lock that has not what it asks for.
    pub(crate) fn not_ruled(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is held by a call around this one, which has not the `once_in` or `fenced` that this one asks for; write that at the outer call, or make this one elsewhere"
        ))
    }

    pub(crate) fn bad_period(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "the `once_in` of lock {id} is zero or longer than ten years; write a little less than the time between two runs"
        ))
    }

    /// The attribute refuses it as well.
    pub(crate) fn rules_elsewhere(id: &dyn fmt::Display, elsewhere: &str) -> Self {
        Self::config(format!(
            "lock {id} is `once_in` or `fenced`, which a lock {elsewhere} cannot be; take it on a session of pglock's own, or leave that out"
        ))
    }

    pub(crate) fn other_permits(id: &dyn fmt::Display, ours: u32, theirs: u32, pid: i32) -> Self {
        Self::config(format!(
            "limit {id} has {ours} permits here and {theirs} where pid {pid} has one of them, so more could run than one of the two allows; write the same number everywhere, or end those with the old one first"
        ))
    }

    /// The attribute refuses it as well.
    pub(crate) fn shared_token(id: &dyn fmt::Display) -> Self {
        Self::config(format!(
            "lock {id} is `fenced` and `shared`, but of two that share it the one with the smaller token would be refused while it holds the lock; leave one of the two out"
        ))
    }
}
