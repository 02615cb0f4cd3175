//! Errors of what is more than a lock: permits, runs that are due, tokens.

use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use super::{Error, ErrorKind, Failure, Found, SEE_SOURCE, SKIP, humanize};

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
        error.0.is_not_due = true;
        error.0.hint = Some(
            "for a run each hour write `once_in = \"55m\"`: with an hour, a start that is a moment early leaves one out"
                .to_owned(),
        );
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
}
