//! One of many processes does the work, and another takes over when that one can't.

pub(crate) mod expansion;
mod pauses;

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use crate::api::advisory::{Advisory, advisory};
use crate::background::{self, PerProcess, jittered};
use crate::database::Using;
use crate::engine::{self, DatabaseLock, HoldWatch};
use crate::error::{Error, humanize};
use crate::model::lock_id::IntoLockId;
use crate::model::options::{LONGEST_TIME, Timeout};
use crate::telemetry::{LeaderRecord, Subject};
use pauses::Pauses;

const RESTART: Duration = Duration::from_secs(1);

/// How often it is looked at most whether the database is back, and lets a request wait in line.
const LOOK: Duration = Duration::from_millis(50);

/// The terms that this process has begun. Those that are over are gone, but for their place.
static TERMS: PerProcess<Vec<Weak<HoldWatch>>> = PerProcess::new();

/// A lock by which one of all processes leads: it does the work, and another takes over when it can't.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = pglock_tests::database();
/// # pglock::configure(database.url())?;
/// # async fn schedule() -> Result<(), pglock::Error> { Ok(()) }
/// pglock::leader("scheduler").lead(|| schedule()).await?;
/// # Ok(())
/// # }
/// ```
pub fn leader(id: impl IntoLockId) -> Leader {
    Leader::by(advisory(id))
}

/// Leads by a lock: returned by [`fn@leader`].
#[derive(Clone)]
#[must_use = "nobody leads until `lead` is called"]
pub struct Leader {
    lock: Advisory,
    restart: Duration,
    restarts_on_error: bool,
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader")
            .field("lock", &self.lock)
            .field("restart", &self.restart)
            .field("restarts_on_error", &self.restarts_on_error)
            .finish()
    }
}

impl Advisory {
    /// Like [`Leader::lead`], by this lock and with its options: a `timeout` ends the wait with a busy lock, and each term of a
    /// [`fenced`](Advisory::fenced) one has a [token](crate::token) of its own.
    ///
    /// # Cancel safety
    ///
    /// As [`Leader::lead`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # async fn schedule() -> Result<(), pglock::Error> { Ok(()) }
    /// pglock::advisory("scheduler").dedicated().lead(|| schedule()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lead<T, E, F>(self, body: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        Leader::by(self).lead(body).await
    }
}

impl Leader {
    pub(crate) fn by(lock: Advisory) -> Self {
        Self {
            lock,
            restart: RESTART,
            restarts_on_error: false,
        }
    }

    /// The pause between two terms, and before the lock is waited for again; one second by default. While the database can't
    /// be reached, or is a standby, the pause doubles, up to 30 s; once it answers, also by letting this process wait behind
    /// another leader, the pause is short again. Each one is up to a quarter shorter or longer, by chance.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let leader = pglock::leader("scheduler").restart(Duration::from_millis(200));
    /// # let _ = leader;
    /// ```
    pub fn restart(mut self, pause: Duration) -> Self {
        self.restart = pause;
        self
    }

    /// Whether a body that ends with an error begins anew, after a pause. By default the error ends it.
    ///
    /// ```
    /// let leader = pglock::leader("scheduler").restart_on_error(true);
    /// # let _ = leader;
    /// ```
    pub fn restart_on_error(mut self, restarts: bool) -> Self {
        self.restarts_on_error = restarts;
        self
    }

    /// Like [`Advisory::using`].
    pub fn using(mut self, database: impl Into<Using>) -> Self {
        self.lock = self.lock.using(database);
        self
    }

    /// Like [`Advisory::label`].
    pub fn label(mut self, label: &'static str) -> Self {
        self.lock = self.lock.label(label);
        self
    }

    /// Waits until this process leads, and runs `body`, until that ends.
    ///
    /// When the lock is lost, the body is dropped at its next await, and after a [pause](Leader::restart) the lock is waited
    /// for again: each term has a new body. Another process leads within milliseconds of a clean end, and otherwise as soon
    /// as the server has freed the lock: at once when it has ended the session, within 15 s when the network was cut. The
    /// old leader has stopped by then, as for [`run_async`](Advisory::run_async).
    ///
    /// A database that can't be reached doesn't end it, nor does one that is a standby, as a server is before it becomes the
    /// primary, nor a wait that somebody cancels in the server.
    ///
    /// # Errors
    ///
    /// The body's `Err`, unless it [restarts on errors](Leader::restart_on_error) or its lock was lost by then. Those of
    /// [`acquire_async`](Advisory::acquire_async), except [`Connect`](crate::ErrorKind::Connect) and those that pass.
    /// [`Config`](crate::ErrorKind::Config) for a [pause](Leader::restart) of zero or of more than 24 days.
    /// [`Lost`](crate::ErrorKind::Lost) only when the body had returned `Ok` but the lock was lost by then.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the term: the body is dropped, and the lock is released in the background, so another process leads
    /// at once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # async fn schedule() -> Result<(), pglock::Error> { std::future::pending().await }
    /// # async fn shutdown() {}
    /// tokio::select! {
    ///     ended = pglock::leader("scheduler").lead(|| schedule()) => ended?,
    ///     () = shutdown() => {} // hands over at once
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lead<T, E, F>(self, body: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Error>,
    {
        self.lead_with(body, Result::is_err).await?
    }

    /// The outcome of the last body, or why there is none.
    pub(crate) async fn lead_with<R, F: Future<Output = R>>(
        self,
        mut body: impl FnMut() -> F,
        failed: impl Fn(&R) -> bool,
    ) -> Result<R, Error> {
        if self.restart.is_zero() || self.restart > LONGEST_TIME {
            return Err(Error::config(format!(
                "`restart` of a leader cannot be {}; write a time above zero, of 24 days at most",
                humanize::duration(self.restart)
            )));
        }
        let mut pauses = Pauses::new(self.restart);
        let mut term = 0_u64;
        loop {
            let request = self.lock.clone().for_own_session(Timeout::FOREVER)?;
            let record = LeaderRecord::of(Subject::from(&request.lock));
            let lock = pauses.have_grown().then(|| request.lock.clone());
            let (entered, was_in_line) = entered(request.enter_async(), lock, self.restart).await;
            if was_in_line || !entered.as_ref().is_err_and(is_away) {
                pauses.answered();
            }
            let (ended, was_lost) = match entered {
                Ok(call) => {
                    term += 1;
                    let watch = begin_term(call.watch());
                    // Begun in the call, whose span is then around that of the term.
                    let work = async { record.term(term).around(body()).await };
                    // Boxed, as the body of `run_async` is.
                    let ended = call.run_async(Box::pin(work), &failed).await;
                    (ended, !watch.is_session_open())
                }
                Err(error) => (Err(error), false),
            };
            let pause = match ended {
                // By a body that has noticed the loss before it was dropped for it, or that begins anew in any case.
                Ok(result) if failed(&result) && (was_lost || self.restarts_on_error) => {
                    pauses.next(false)
                }
                Err(error) if is_passing(&error) => pauses.next(is_away(&error)),
                ended => return ended,
            };
            sleep(jittered(pause)).await?;
        }
    }

    /// Whether this process leads by this lock just now: its body runs, and the lock is not known to be lost.
    ///
    /// # Errors
    ///
    /// [`Config`](crate::ErrorKind::Config) for options that cannot work.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// assert!(!pglock::leader("scheduler").is_leading()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_leading(&self) -> Result<bool, Error> {
        let lock = self.lock.clone().for_own_session(Timeout::FOREVER)?.lock;
        let terms = TERMS.lock(|_| Vec::new());
        let mut terms = terms.iter().filter_map(Weak::upgrade);
        Ok(terms.any(|term| term.lock.is_same_key(&lock) && term.is_session_open()))
    }
}

/// What a request became, and whether it is known to have waited in line before, which is looked for if `lock` is given: the
/// outcome alone doesn't say whether the database was there in between.
async fn entered<T>(
    request: impl Future<Output = T>,
    lock: Option<DatabaseLock>,
    restart: Duration,
) -> (T, bool) {
    let Some(lock) = lock else {
        return (request.await, false);
    };
    let interval = restart.max(LOOK);
    let in_line = async {
        loop {
            if sleep(interval).await.is_err() {
                return poll_fn(|_| Poll::Pending).await;
            }
            if engine::is_in_line(&lock).await {
                return;
            }
        }
    };
    let (mut request, mut in_line) = (pin!(request), pin!(in_line));
    let mut was_in_line = false;
    let entered = poll_fn(|cx| {
        was_in_line = was_in_line || in_line.as_mut().poll(cx).is_ready();
        request.as_mut().poll(cx)
    });
    let entered = entered.await;
    (entered, was_in_line)
}

/// Whether the database could not be reached, or is a standby, as a server is on its way to be the primary.
fn is_away(error: &Error) -> bool {
    error.is_connect() || error.is_of_standby()
}

/// Whether what went wrong passes without anybody's help, so that another try may succeed: the database is away, the lock
/// was lost before the body had finished, or somebody has canceled the wait.
fn is_passing(error: &Error) -> bool {
    is_away(error)
        || error.is_lost() && !error.body_finished()
        || error.is_database() && error.sql_state() == Some(&SqlState::QUERY_CANCELED)
}

fn begin_term(term: HoldWatch) -> Arc<HoldWatch> {
    let term = Arc::new(term);
    let mut terms = TERMS.lock(|_| Vec::new());
    terms.retain(|term| term.strong_count() > 0);
    terms.push(Arc::downgrade(&term));
    term
}

/// By pglock's clock, since the caller's executor may have none.
async fn sleep(pause: Duration) -> Result<(), Error> {
    let woken = background::start()?.sleep_until(Instant::now() + pause);
    // If the thread has ended, the next term starts another.
    let _ = woken.await;
    Ok(())
}
