//! The way of a caller that is alone: it borrows the shared session, and sends its statement itself.
//!
//! pglock's thread has no part in that. To wake a thread takes longer than the statement, and it would take two for each.
//! The ledger is told the same as always, so all others see what they would see otherwise. What doesn't end well, and at
//! once, is handed to pglock's thread.

pub(super) mod crowd;
pub(super) mod handed_back;

use std::sync::Arc;

use tokio::sync::oneshot;

use handed_back::{Asks, HandedBack};

use super::asked::Asked;
use super::hold::HeldLock;
use super::ledger::{Answer, LedgerRequest, Op, SessionId};
use super::register::{Register, ReleaseReply};
use super::request::Request;
use super::session::{BatchDone, BatchEnd, Begun, Borrowed, Borrower};
use super::state::State;
use crate::background::{block_on, join_all, may_block_here};
use crate::database::Database;
use crate::error::Error;

/// Requests a lock. Dropping the future withdraws the request, and cancels the wait in the server.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` would have room for the request twice"
)]
pub(crate) fn acquire(request: Request) -> impl Future<Output = Result<HeldLock, Error>> + Send {
    async move {
        let key = request.lock.key;
        let lender = lender(&request)
            .filter(|register| register.may_lend(|ledger| ledger.session_to_try_on(key)));
        let requested = match lender {
            Some(register) if is_alone(&register).await => {
                acquire_alone(&register, request, Borrower::Task)?
            }
            _ => Requested::Asked(Asked::send(request)?),
        };
        match requested {
            Requested::Granted(hold) => Ok(hold),
            Requested::Asked(asked) => asked.answer().await,
        }
    }
}

/// Like [`acquire`], but blocks this thread until the request is answered.
pub(crate) fn acquire_blocking(request: Request) -> Result<HeldLock, Error> {
    let requested = match lender(&request) {
        Some(register) => acquire_alone(&register, request, Borrower::Thread)?,
        None => Requested::Asked(Asked::send(request)?),
    };
    match requested {
        Requested::Granted(hold) => Ok(hold),
        Requested::Asked(asked) => block_on(asked.answer()),
    }
}

/// Releases a lock and waits for the server's answer. With `hold_at_least` it only waits for the answer that the lock is
/// still held, and the release follows later.
///
/// If the future and the lock are dropped, the release continues in the background.
pub(crate) async fn release(hold: &HeldLock) -> Result<(), Error> {
    if hold.together().is_empty() {
        release_one(hold).await
    } else {
        Box::pin(release_all(hold)).await
    }
}

/// Those that a lock is one with, too. Where other calls share one, the last of them releases it, and this one only says
/// whether it is known to be lost.
async fn release_all(hold: &HeldLock) -> Result<(), Error> {
    let others = hold.together().iter();
    let (unshared, shared): (Vec<_>, Vec<_>) =
        others.partition(|other| Arc::strong_count(other) == 1);
    let locks: Vec<&HeldLock> = std::iter::once(hold)
        .chain(unshared.into_iter().map(|it| &**it))
        .collect();
    let mut releases = Vec::with_capacity(locks.len());
    for lock in locks {
        releases.push(release_one(lock));
    }
    let answers = join_all(releases).await;
    answers.into_iter().collect::<Result<(), Error>>()?;
    shared.iter().try_for_each(|other| other.check_session())
}

async fn release_one(hold: &HeldLock) -> Result<(), Error> {
    let register = hold.register();
    let is_alone = may_be_released_alone(hold)
        && register.may_lend(|ledger| ledger.session_to_unlock_on(hold.id))
        && is_alone(register).await;
    match begin_release(hold, is_alone.then_some(Borrower::Task))? {
        Some(answer) => hold.release_result(answer.await),
        None => Ok(()),
    }
}

/// Like [`release`], but blocks this thread.
pub(crate) fn release_blocking(hold: &HeldLock) -> Result<(), Error> {
    if !hold.together().is_empty() {
        return block_on(release_all(hold));
    }
    let is_alone = may_be_released_alone(hold);
    match begin_release(hold, is_alone.then_some(Borrower::Thread))? {
        Some(answer) => hold.release_result(block_on(answer)),
        None => Ok(()),
    }
}

/// Whose session this thread may borrow for a request.
fn lender(request: &Request) -> Option<Arc<Register>> {
    let register = request.lock.database.attached::<Register>()?;
    let may_borrow =
        register.is_of_this_process() && may_block_here() && !request.needs_own_session();
    may_borrow.then_some(register)
}

/// Whether this task is alone, and still in the process that the sessions belong to.
async fn is_alone(register: &Register) -> bool {
    register.crowd.is_task_alone().await && register.is_of_this_process()
}

fn may_be_released_alone(hold: &HeldLock) -> bool {
    hold.is_of_this_process() && !hold.is_to_be_kept() && may_block_here()
}

/// What became of a request.
enum Requested {
    Granted(HeldLock),
    /// pglock's thread has it.
    Asked(Asked),
}

/// Where the result of a release comes from.
type ReleaseAnswer = oneshot::Receiver<Result<(), Error>>;

/// `None`: it has been released, now or before.
fn begin_release(
    hold: &HeldLock,
    borrower: Option<Borrower>,
) -> Result<Option<ReleaseAnswer>, Error> {
    if !hold.begin_release()? {
        return Ok(None);
    }
    let (reply, answer) = oneshot::channel();
    let reply = match borrower {
        Some(borrower) => release_alone(hold, borrower, reply),
        None => Released::NotAlone(reply),
    };
    match reply {
        Released::Yes => return Ok(None),
        Released::Begun => {}
        Released::NotAlone(reply) => hold.send_release(reply)?,
    }
    Ok(Some(answer))
}

/// What became of a release.
enum Released {
    Yes,
    /// It is answered by pglock's thread.
    Begun,
    /// It has to go the usual way.
    NotAlone(ReleaseReply),
}

/// A session that is lent to this thread, and what the ledger has for it.
struct Loan {
    session: SessionId,
    lent: Borrowed,
    ops: Vec<Op>,
}

fn acquire_alone(
    register: &Arc<Register>,
    request: Request,
    borrower: Borrower,
) -> Result<Requested, Error> {
    let (id, loan) = {
        let mut entries = register.lock();
        let session = entries.ledger.session_to_try_on(request.lock.key);
        let Some((session, lent)) = register.lend(&entries, session, borrower) else {
            drop(entries);
            return Asked::send(request).map(Requested::Asked);
        };
        let id = entries.ledger.ask(LedgerRequest::from(&request));
        entries.borrowers.push(id);
        let ops = entries.take_batch(session);
        let loan = Loan { session, lent, ops };
        (id, loan)
    };
    let database = request.lock.database.clone();
    let begun = loan.run(register, &database);
    let asks = |request: Request| {
        let (asked, ticket, reply) = Asked::new(request.lock.id.clone());
        let asks = Asks {
            id,
            ticket,
            request,
            reply,
        };
        (asks, Ok(Requested::Asked(asked)))
    };
    if !is_yes(&begun) {
        let (asks, requested) = asks(request);
        loan.hand_back(register, database, begun, Some(asks));
        return requested;
    }
    let granted = {
        let mut entries = register.lock();
        entries.ledger.answer(loan.session, 0, Answer::Yes);
        entries.collect_effects();
        entries.granted_to_borrower(id)
    };
    let Some(hold) = granted else {
        drop(loan);
        // A caller that waits came before this one, which doesn't.
        let (asks, requested) = asks(request);
        register
            .thread
            .run(move || State::here().arbiter(&database).take_over_request(asks));
        return requested;
    };
    let lock = Arc::new(request.lock);
    let record = Arc::new(lock.begin_record(&request.context));
    let link = Arc::clone(loan.lent.link());
    {
        let mut entries = register.lock();
        entries.end_loan(id);
        entries.add_hold(hold, &lock, &link, &record);
    }
    // Until now the end of the session would have waited.
    drop(loan);
    settle_left_over(register, &database);
    let register = Arc::clone(register);
    let hold = HeldLock::new(register, lock, hold, link.state(), record);
    Ok(Requested::Granted(hold))
}

fn release_alone(hold: &HeldLock, borrower: Borrower, reply: ReleaseReply) -> Released {
    let register = hold.register();
    let loan = {
        let mut entries = register.lock();
        let session = entries.ledger.session_to_unlock_on(hold.id);
        let Some((session, lent)) = register.lend(&entries, session, borrower) else {
            return Released::NotAlone(reply);
        };
        let Some(entry) = entries.held.get_mut(&hold.id) else {
            return Released::NotAlone(reply);
        };
        entry.released = Some(reply);
        entry.link.held_locks().remove(hold.id);
        entries.ledger.release(hold.id);
        let ops = entries.take_batch(session);
        Loan { session, lent, ops }
    };
    let database = &hold.lock.database;
    let begun = loan.run(register, database);
    if !is_yes(&begun) {
        loan.hand_back(register, database.clone(), begun, None);
        return Released::Begun;
    }
    let entry = {
        let mut entries = register.lock();
        entries.ledger.answer(loan.session, 0, Answer::Yes);
        entries.take_released(hold.id)
    };
    drop(loan);
    settle_left_over(register, database);
    let Some(entry) = entry else {
        return Released::Begun;
    };
    entry.record.released(&Ok(()));
    Released::Yes
}

fn is_yes(begun: &Begun) -> bool {
    matches!(begun, Begun::Done(BatchDone { answers, end: BatchEnd::Done }) if answers[..] == [true])
}

/// Has pglock's thread carry out what is not for this caller.
fn settle_left_over(register: &Arc<Register>, database: &Database) {
    if register.lock().collect_left_over() {
        register.crowd.note();
        let database = database.clone();
        register
            .thread
            .run(move || State::here().arbiter(&database).settle_left_over());
    }
}

impl Loan {
    fn run(&self, register: &Register, database: &Database) -> Begun {
        if self.lent.is_first {
            let (database, session) = (database.clone(), self.session);
            register
                .thread
                .run(move || State::here().arbiter(&database).watch_loans(session));
        }
        self.lent.run_batch(self.ops.clone())
    }

    fn hand_back(self, register: &Register, database: Database, begun: Begun, asks: Option<Asks>) {
        let handed_back = HandedBack {
            session: self.session,
            permit: self.lent.into_permit(),
            ops: self.ops,
            begun,
            asks,
        };
        // If the thread has ended, dropping it answers the caller.
        register
            .thread
            .run(move || State::here().arbiter(&database).take_over(handed_back));
    }
}
