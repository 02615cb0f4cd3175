//! The built-in side effects: terminate, cancel, escalate.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::view::Matches;
use crate::watcher::{Blocked, Escalation, PrioritizeSideEffect, SignalPolicy};

/// Terminates the blocking sessions, so that their transactions are rolled back and their locks released. The default.
///
/// As a value, it terminates all of them; with its methods, some.
///
/// See also
/// [`pg_terminate_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL), which
/// needs the privileges of the other session's role, or of `pg_signal_backend`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// use std::time::Duration;
/// use pglock::Terminate;
///
/// let idlers = Terminate::new()
///     .blocking_duration_gte(Duration::from_secs(5))
///     .filter("blocking_activity__state=IDLE_IN_TRANSACTION")?
///     .never_application("pg_dump");
/// let section = pglock::prioritize().side_effect(idlers).on(&mut client)?;
/// section.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a side effect does nothing by itself: pass it to `side_effect`"]
pub struct Terminate {
    policy: SignalPolicy,
}

/// [`struct@Terminate`] for every blocking session, to be written as `side_effect(Terminate)`.
#[allow(non_upper_case_globals)]
pub const Terminate: Terminate = Terminate::new();

/// Cancels the running statements of the blocking sessions.
///
/// A session that is idle, in a transaction or outside, has nothing to cancel: the report says [`Spared::Idle`](crate::Spared::Idle). It frees
/// nothing either if the client of a session continues the transaction. Then the section keeps waiting, and
/// [`struct@Escalate`] helps. As a value, it cancels all of them; with its methods, some.
///
/// See also [`pg_cancel_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL),
/// which needs the privileges of the other session's role, or of `pg_signal_backend`.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// use pglock::Cancel;
///
/// let section = pglock::prioritize().side_effect(Cancel).on(&mut client)?;
/// section.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a side effect does nothing by itself: pass it to `side_effect`"]
pub struct Cancel {
    policy: SignalPolicy,
}

/// [`struct@Cancel`] for every blocking session, to be written as `side_effect(Cancel)`.
#[allow(non_upper_case_globals)]
pub const Cancel: Cancel = Cancel::new();

/// Cancels the running statements of the blocking sessions, and terminates the sessions that still block after a grace
/// period. Sessions that are idle, in a transaction or outside, have nothing to cancel and are terminated at once.
///
/// The grace period is 5 s, or what [`after`](Escalate::after) says. A timeout of the section must not be below the interval
/// and the grace period together. As a value, it signals all of them; with its
/// methods, some.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # let mut client = database.connect();
/// use std::time::Duration;
/// use pglock::Escalate;
///
/// let politely = Escalate::new().after(Duration::from_secs(2)).never_user("replicator");
/// let section = pglock::prioritize().side_effect(politely).on(&mut client)?;
/// section.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a side effect does nothing by itself: pass it to `side_effect`"]
pub struct Escalate {
    policy: SignalPolicy,
}

/// [`struct@Escalate`] for every blocking session, to be written as `side_effect(Escalate)`.
#[allow(non_upper_case_globals)]
pub const Escalate: Escalate = Escalate::new();

const GRACE: Duration = Duration::from_secs(5);

impl Escalate {
    /// The grace period between canceling and terminating; 5 s by default.
    ///
    /// The next poll comes at its end, whatever the interval.
    ///
    /// ```
    /// let patient = pglock::Escalate::new().after(std::time::Duration::from_secs(60));
    /// let section = pglock::prioritize().side_effect(patient);
    /// ```
    pub const fn after(mut self, grace: Duration) -> Self {
        self.policy.escalation = Escalation::Escalate { grace };
        self
    }
}

macro_rules! side_effect {
    ($name:ident, $escalation:expr) => {
        impl $name {
            /// Signals every blocking session, except those that the methods below spare.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new();")]
            /// let section = pglock::prioritize().side_effect(signals);
            /// ```
            pub const fn new() -> Self {
                Self {
                    policy: SignalPolicy::new($escalation),
                }
            }

            /// Only sessions whose statement, or the last one if they are idle, began at least this long ago.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().blocking_duration_gte(std::time::Duration::from_secs(5));")]
            /// let section = pglock::prioritize().side_effect(signals);
            /// ```
            pub fn blocking_duration_gte(mut self, duration: Duration) -> Self {
                self.policy.blocking_duration_gte(duration);
                self
            }

            /// Only sessions that match the filter, which is one of [`blocked_locks`](crate::blocked_locks): the
            /// blocking session is `blocking_activity`.
            ///
            /// # Errors
            ///
            /// As [`Locks::filter`](crate::Locks::filter).
            ///
            /// ```
            /// # fn main() -> Result<(), pglock::Error> {
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().filter(\"blocking_activity__state=IDLE_IN_TRANSACTION\")?;")]
            /// let section = pglock::prioritize().side_effect(signals);
            /// # Ok(())
            /// # }
            /// ```
            pub fn filter(mut self, filter: impl AsRef<str>) -> Result<Self, Error> {
                self.policy.filter(filter.as_ref(), Matches::Keep)?;
                Ok(self)
            }

            /// Not the sessions that match the filter.
            ///
            /// # Errors
            ///
            /// As [`Locks::filter`](crate::Locks::filter).
            ///
            /// ```
            /// # fn main() -> Result<(), pglock::Error> {
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().exclude(\"blocking_activity__application_name=psql\")?;")]
            /// let section = pglock::prioritize().side_effect(signals);
            /// # Ok(())
            /// # }
            /// ```
            pub fn exclude(mut self, filter: impl AsRef<str>) -> Result<Self, Error> {
                self.policy.filter(filter.as_ref(), Matches::Exclude)?;
                Ok(self)
            }

            /// Never sessions with this `application_name`, such as `pg_dump`; each call adds one.
            ///
            /// Write the name as the session sets it, even if the server shows less: only ASCII, and 63 bytes at most.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().never_application(\"pg_dump\");")]
            /// let section = pglock::prioritize().side_effect(signals);
            /// ```
            pub fn never_application(mut self, name: impl Into<String>) -> Self {
                self.policy.never_applications.push(name.into());
                self
            }

            /// Never sessions of this user; each call adds one.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().never_user(\"replicator\");")]
            /// let section = pglock::prioritize().side_effect(signals);
            /// ```
            pub fn never_user(mut self, name: impl Into<String>) -> Self {
                self.policy.never_users.push(name.into());
                self
            }

            /// Signals no session: the report says which ones would have been signaled.
            ///
            /// ```
            #[doc = concat!("let report_only = pglock::", stringify!($name), "::new().dry_run(true);")]
            /// let section = pglock::prioritize().side_effect(report_only);
            /// ```
            pub fn dry_run(mut self, dry_run: bool) -> Self {
                self.policy.dry_run = dry_run;
                self
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl PrioritizeSideEffect for $name {
            fn worker(&self, blocked: &mut Blocked<'_>) -> Result<Vec<i32>, Error> {
                blocked.signal(self.policy.clone())
            }

            fn signal_policy(&self) -> Option<SignalPolicy> {
                Some(self.policy.clone())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.policy, f)
            }
        }
    };
}

side_effect!(Terminate, Escalation::Terminate);
side_effect!(Cancel, Escalation::Cancel);
side_effect!(Escalate, Escalation::Escalate { grace: GRACE });
