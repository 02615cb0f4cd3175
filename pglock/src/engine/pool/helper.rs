//! The helper session of a pool, which holds nothing: when it is opened, for how long it is kept, and what its silence
//! means.
//!
//! There is one at most. It is opened when it is first needed, and kept for as long as sessions wait for locks.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, oneshot};

use super::{Lease, Pool};
use crate::engine::session::answer::answered;
use crate::engine::session::{NoSession, Session};
use crate::error::{Error, Failure};
use crate::model::options::Scope;
use crate::sql::Rows;
use crate::telemetry::SessionRole;
use crate::wire::SimpleQuery;

/// An answer this recent proves that the database is reachable.
const RECENT: Duration = Duration::from_secs(2);

/// How long no helper session is opened for sessions that wait after that has failed. It doubles each time.
const PAUSE: Duration = Duration::from_secs(1);

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The state of a pool's helper session.
pub(super) struct Helper {
    /// The session while it is in use or kept.
    session: RefCell<Option<Rc<Session>>>,
    /// Held while it is opened: otherwise a thousand waiters that give up would open a thousand of them.
    opening: Mutex<()>,
    /// When a session that waits last needed it.
    needed: Cell<Option<Instant>>,
    /// When it could not be opened for sessions that wait, and for how long that is not tried again.
    not_opened: Cell<Option<Instant>>,
    pause: Cell<Duration>,
    /// When it last got an answer.
    answered: Cell<Option<Instant>>,
    /// When it was asked what has not been answered in time. The network counts as silent until something is answered.
    unanswered: Cell<Option<Instant>>,
}

impl Default for Helper {
    fn default() -> Self {
        Self {
            session: RefCell::default(),
            opening: Mutex::default(),
            needed: Cell::default(),
            not_opened: Cell::default(),
            pause: Cell::new(PAUSE),
            answered: Cell::default(),
            unanswered: Cell::default(),
        }
    }
}

impl Helper {
    pub(super) fn is(&self, session: &Rc<Session>) -> bool {
        let helper = self.session.borrow();
        helper.as_ref().is_some_and(|it| Rc::ptr_eq(it, session))
    }

    /// The session, which is the helper session no longer, if it is not in use.
    pub(super) fn take_unused(&self) -> Option<Rc<Session>> {
        let mut session = self.session.borrow_mut();
        session.take_if(|session| session.leases().get() == 0)
    }

    fn has_answered_within(&self, bound: Duration) -> bool {
        let answered = self.answered.get();
        answered.is_some_and(|answered| answered.elapsed() < bound)
    }
}

impl Pool {
    pub(in crate::engine) fn helper_answered_recently(&self) -> bool {
        self.helper.has_answered_within(RECENT)
    }

    /// Whether the network of a session in the middle of a conversation is silent: the helper session was asked
    /// something, and since then neither it nor this session has got an answer, nor any other a while later.
    ///
    /// A missing helper session is not evidence: logging in may be slow, or the server or a pooler full. Until
    /// there is one, only the kernel watches.
    pub(in crate::engine) async fn is_silent_for(self: &Rc<Self>, session: &Session) -> bool {
        self.keep_helper();
        // One question serves all sessions that ask within an interval, and a session that asks alone asks each time.
        let recent = self.database().liveness().interval() * 3 / 4;
        if let Some(lease) = self.established_helper() {
            let needless = || self.helper.has_answered_within(recent);
            ask(&lease, "", needless).await;
        }
        let Some(asked) = self.helper.unanswered.get() else {
            return false;
        };
        // What was on its way when the question was sent may be read after that.
        let others_since = asked + self.database().liveness().grace();
        session.answered_at() < asked && self.last_answer() < Some(others_since)
    }

    /// Opens the helper session if there is none, and keeps it while this is called once an interval.
    fn keep_helper(self: &Rc<Self>) {
        let helper = &self.helper;
        helper.needed.set(Some(Instant::now()));
        let not_opened = helper.not_opened.get();
        if self.established_helper().is_some()
            || helper.opening.try_lock().is_err()
            || not_opened.is_some_and(|at| at.elapsed() < helper.pause.get())
        {
            return;
        }
        let pool = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let helper = &pool.helper;
            let failed = pool.helper_session().await.is_err();
            let failed_before = helper.not_opened.replace(failed.then(Instant::now));
            helper.pause.set(match failed_before {
                Some(_) if failed => LONGEST_PAUSE.min(2 * helper.pause.get()),
                _ => PAUSE,
            });
        });
    }

    /// Whether the helper session stays one while it is not in use.
    pub(super) fn keeps_helper(&self) -> bool {
        let needed = self.helper.needed.get();
        needed.is_some_and(|needed| needed.elapsed() < 2 * self.database().liveness().interval())
    }

    fn established_helper(self: &Rc<Self>) -> Option<Lease> {
        let session = self.helper.session.borrow().clone();
        let session = session.filter(|session| session.is_usable())?;
        Some(Lease::new(self, session, true))
    }

    /// Whether there is a helper session that answers at once.
    pub(in crate::engine) fn has_helper_at_hand(self: &Rc<Self>) -> bool {
        let helper = self.helper_at_hand();
        helper.is_some_and(|helper| helper.session().is_idle())
    }

    /// The helper session, or an idle session that becomes it.
    fn helper_at_hand(self: &Rc<Self>) -> Option<Lease> {
        self.established_helper().or_else(|| {
            let lease = self.idle(Scope::Transaction)?;
            self.becomes_helper(&lease);
            Some(lease)
        })
    }

    fn becomes_helper(&self, lease: &Lease) {
        let session = Rc::clone(lease.session());
        session.is_for(SessionRole::Helper);
        self.helper.session.replace(Some(session));
    }

    async fn helper_session(self: &Rc<Self>) -> Result<Lease, NoSession> {
        let since = Instant::now();
        if let Some(lease) = self.helper_at_hand() {
            return Ok(lease);
        }
        let _one_at_a_time = self.helper.opening.lock().await;
        if let Some(lease) = self.helper_at_hand() {
            return Ok(lease);
        }
        let lease = self.open_helper(since).await?;
        self.becomes_helper(&lease);
        Ok(lease)
    }

    /// Runs a statement on the helper session: its rows, or `None` if it failed.
    pub(in crate::engine) async fn on_helper(
        self: &Rc<Self>,
        opened_for: &dyn fmt::Display,
        sql: String,
    ) -> Result<Option<Rows>, Error> {
        let answer = self.on_helper_or_why(opened_for, sql).await;
        answer.map(Result::ok)
    }

    /// Like [`on_helper`](Pool::on_helper), with the reason of a failure.
    pub(in crate::engine) async fn on_helper_or_why(
        self: &Rc<Self>,
        opened_for: &dyn fmt::Display,
        sql: String,
    ) -> Result<Result<Rows, Failure>, Error> {
        let place = || self.database().place();
        let lease = self.helper_session().await;
        let lease = lease.map_err(|why| why.explain(opened_for, &place()))?;
        let (reply, answer) = oneshot::channel();
        // In a task of its own: a caller that goes away would leave the session in the middle of a conversation.
        tokio::task::spawn_local(async move {
            let answer = ask(&lease, &sql, || reply.is_closed()).await;
            drop(lease);
            let _ = reply.send(answer);
        });
        let answer = answer.await.ok().flatten();
        let bound = self.database().liveness().answer();
        answer.ok_or_else(|| Error::connect_timeout(opened_for, &place(), bound))
    }
}

/// Asks something on the helper session, unless it is needless when its turn comes. `None` without an answer in time.
async fn ask(
    lease: &Lease,
    sql: &str,
    needless: impl Fn() -> bool,
) -> Option<Result<Rows, Failure>> {
    let (session, pool) = (lease.session(), lease.pool());
    let exclusive = session.exclusive().await;
    if needless() {
        return None;
    }
    let asked = Instant::now();
    let mut wire = exclusive.wire();
    let question = wire.simple_query(sql);
    let answer = answered(session, pool.database().liveness(), question).await;
    match &answer {
        None => pool.helper.unanswered.set(Some(asked)),
        Some(Err(failure)) if failure.session_ended => {}
        Some(_) => {
            pool.helper.answered.set(Some(Instant::now()));
            pool.helper.unanswered.set(None);
        }
    }
    answer
}
