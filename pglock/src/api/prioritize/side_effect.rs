//! The side effects that pglock brings: terminate, cancel, escalate.

use std::fmt;
use std::time::Duration;

use crate::error::Error;
use crate::view::Matches;
use crate::watcher::{Blocked, Escalation, KillPolicy, PrioritizeSideEffect};

/// Ends the sessions that are in the way: their transactions are rolled back, and their locks released. The default.
///
/// As a value, it ends all of them; with its methods, some.
///
/// Stands on [`pg_terminate_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL),
/// which needs the rights of the other session's role, or of `pg_signal_backend`.
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
    policy: KillPolicy,
}

/// [`struct@Terminate`] with nobody spared, to be written as `side_effect(Terminate)`.
#[allow(non_upper_case_globals)]
pub const Terminate: Terminate = Terminate::new();

/// Cancels the statements of the sessions that are in the way.
///
/// It frees nothing where a session only idles in a transaction, or where its client goes on with it: then the section
/// goes on waiting, and [`struct@Escalate`] is what helps. As a value, it cancels all of them; with its methods, some.
///
/// Stands on [`pg_cancel_backend`](https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL),
/// which needs the rights of the other session's role, or of `pg_signal_backend`.
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
    policy: KillPolicy,
}

/// [`struct@Cancel`] with nobody spared, to be written as `side_effect(Cancel)`.
#[allow(non_upper_case_globals)]
pub const Cancel: Cancel = Cancel::new();

/// Cancels the statements of the sessions that are in the way, and ends those that still are after a grace time.
///
/// The grace time is 5 s unless [`after`](Escalate::after) says another. As a value, it hits all of them; with its
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
    policy: KillPolicy,
}

/// [`struct@Escalate`] with nobody spared, to be written as `side_effect(Escalate)`.
#[allow(non_upper_case_globals)]
pub const Escalate: Escalate = Escalate::new();

const GRACE: Duration = Duration::from_secs(5);

impl Escalate {
    /// How long who was canceled has to get out of the way.
    ///
    /// The look after that time comes then, whatever the interval.
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
    ($name:ident, $plan:expr) => {
        impl $name {
            /// Hits all that are in the way, until a method says who is spared.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new();")]
            /// let section = pglock::prioritize().side_effect(hits);
            /// ```
            pub const fn new() -> Self {
                Self {
                    policy: KillPolicy::new($plan),
                }
            }

            /// Only those whose current statement, or for idlers the latest, began that long ago or longer.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().blocking_duration_gte(std::time::Duration::from_secs(5));")]
            /// let section = pglock::prioritize().side_effect(hits);
            /// ```
            pub fn blocking_duration_gte(mut self, duration: Duration) -> Self {
                self.policy.blocking_duration_gte(duration);
                self
            }

            /// Only those for which the filter holds: a filter of
            /// [`blocked_locks`](crate::blocked_locks), where the blocker is `blocking_activity`.
            ///
            /// # Errors
            ///
            /// As [`Locks::filter`](crate::Locks::filter).
            ///
            /// ```
            /// # fn main() -> Result<(), pglock::Error> {
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().filter(\"blocking_activity__state=IDLE_IN_TRANSACTION\")?;")]
            /// let section = pglock::prioritize().side_effect(hits);
            /// # Ok(())
            /// # }
            /// ```
            pub fn filter(mut self, filter: impl AsRef<str>) -> Result<Self, Error> {
                self.policy.filter(filter.as_ref(), Matches::Keep)?;
                Ok(self)
            }

            /// Not those for which the filter holds.
            ///
            /// # Errors
            ///
            /// As [`Locks::filter`](crate::Locks::filter).
            ///
            /// ```
            /// # fn main() -> Result<(), pglock::Error> {
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().exclude(\"blocking_activity__application_name=psql\")?;")]
            /// let section = pglock::prioritize().side_effect(hits);
            /// # Ok(())
            /// # }
            /// ```
            pub fn exclude(mut self, filter: impl AsRef<str>) -> Result<Self, Error> {
                self.policy.filter(filter.as_ref(), Matches::Exclude)?;
                Ok(self)
            }

            /// Never a session with this `application_name`, such as `pg_dump`; each call adds one. The name is
            /// the one that the session was given, also where the server shows less of it: it keeps ASCII and 63 bytes.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().never_application(\"pg_dump\");")]
            /// let section = pglock::prioritize().side_effect(hits);
            /// ```
            pub fn never_application(mut self, name: impl Into<String>) -> Self {
                self.policy.never_applications.push(name.into());
                self
            }

            /// Never a session of this user; each call adds one.
            ///
            /// ```
            #[doc = concat!("let signals = pglock::", stringify!($name), "::new().never_user(\"replicator\");")]
            /// let section = pglock::prioritize().side_effect(hits);
            /// ```
            pub fn never_user(mut self, name: impl Into<String>) -> Self {
                self.policy.never_users.push(name.into());
                self
            }

            /// Hits nobody: the report says who would have been hit.
            ///
            /// ```
            #[doc = concat!("let tells = pglock::", stringify!($name), "::new().dry_run(true);")]
            /// let section = pglock::prioritize().side_effect(tells);
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

            #[expect(private_interfaces, reason = "only pglock's own side effects say it")]
            fn kill_policy(&self) -> Option<KillPolicy> {
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
