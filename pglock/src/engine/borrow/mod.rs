//! The way of a blocking caller that is alone: it borrows the shared session, and sends its statement itself.
//!
//! pglock's thread has no part in that. To wake a thread takes longer than the statement, and it would take two for each.
//! The ledger is told the same as always, so all others see what they would see otherwise. What doesn't end well, and at
//! once, is handed to pglock's thread.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::hold::HeldLock;
use super::ids::Ticket;
use super::ledger::{Answer, LedgerRequest, Op, SessionId};
use super::loan::{Asks, HandedBack};
use super::register::Register;
use super::request::Request;
use super::session::{BatchDone, BatchEnd, Begun, Borrowed};
use super::state::State;
use crate::background::{block_on, may_block_here};
use crate::database::Database;
use crate::error::Error;
use crate::telemetry::{HoldRecord, Subject};

/// Requests a lock, and blocks this thread until it is answered.
pub(crate) fn acquire_blocking(request: Request) -> Result<HeldLock, Error> {
    let register = request.lock.database.attached::<Register>();
    let register = register.filter(|it| it.is_of_this_process() && may_block_here());
    match register {
        Some(register) if !request.needs_own_session() => acquire_alone(&register, request),
        _ => block_on(super::acquire(request)),
    }
}

/// Like [`HeldLock::release`], but blocks this thread.
pub(crate) fn release_blocking(hold: &HeldLock) -> Result<(), Error> {
    if !hold.begin_release()? {
        return Ok(());
    }
    let alone = if hold.is_to_be_kept() || !may_block_here() {
        None
    } else {
        release_alone(hold)
    };
    alone.unwrap_or_else(|| block_on(hold.finish_release()))
}

/// A session that is lent to this thread, and what the ledger has for it.
struct Loan {
    session: SessionId,
    borrowed: Borrowed,
    ops: Vec<Op>,
}

fn acquire_alone(register: &Arc<Register>, request: Request) -> Result<HeldLock, Error> {
    let (id, loan) = {
        let mut entries = register.lock();
        let session = entries.ledger.session_to_try_on(request.lock.key);
        let Some((session, borrowed)) = entries.lend(session) else {
            drop(entries);
            return block_on(super::acquire(request));
        };
        let id = entries.ledger.ask(LedgerRequest::from(&request));
        entries.borrowers.push(id);
        let ops = entries.take_batch(session);
        let loan = Loan {
            session,
            borrowed,
            ops,
        };
        (id, loan)
    };
    let (database, lock_id) = (request.lock.database.clone(), request.lock.id.clone());
    let begun = loan.run(register, &database);
    let asks = |request| {
        let (reply, answer) = oneshot::channel();
        let ticket = Ticket::next();
        let asks = Asks {
            id,
            ticket,
            request,
            reply,
        };
        (asks, answer)
    };
    let wait_for = |answer: oneshot::Receiver<_>| {
        block_on(answer).unwrap_or_else(|_| Err(Error::engine_ended(&lock_id)))
    };
    if !is_yes(&begun) {
        let (asks, answer) = asks(request);
        loan.hand_back(register, database, begun, Some(asks));
        return wait_for(answer);
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
        let (asks, answer) = asks(request);
        register
            .thread
            .run(move || State::here().arbiter(&database).take_over_request(asks));
        return wait_for(answer);
    };
    let lock = Arc::new(request.lock);
    let record = Arc::new(HoldRecord::begin(Subject::from(&*lock), &request.context));
    let link = Arc::clone(loan.borrowed.link());
    {
        let mut entries = register.lock();
        entries.end_loan(id);
        entries.add_hold(hold, &lock, &link, &record);
    }
    // Until now the end of the session would have waited.
    drop(loan);
    settle_left_over(register, &database);
    let register = Arc::clone(register);
    Ok(HeldLock::new(register, lock, hold, link.state(), record))
}

/// `None`: it has to go the usual way.
fn release_alone(hold: &HeldLock) -> Option<Result<(), Error>> {
    let register = hold.register();
    let (reply, answer) = oneshot::channel();
    let loan = {
        let mut entries = register.lock();
        let session = entries.ledger.session_to_unlock_on(hold.id);
        let (session, borrowed) = entries.lend(session)?;
        let entry = entries.held.get_mut(&hold.id)?;
        entry.released = Some(reply);
        entry.link.held_locks().remove(hold.id);
        entries.ledger.release(hold.id);
        let ops = entries.take_batch(session);
        Loan {
            session,
            borrowed,
            ops,
        }
    };
    let database = &hold.lock.database;
    let begun = loan.run(register, database);
    if !is_yes(&begun) {
        loan.hand_back(register, database.clone(), begun, None);
        return Some(hold.release_result(block_on(answer)));
    }
    let entry = {
        let mut entries = register.lock();
        entries.ledger.answer(loan.session, 0, Answer::Yes);
        entries.take_released(hold.id)
    };
    drop(loan);
    settle_left_over(register, database);
    let Some(entry) = entry else {
        return Some(hold.release_result(block_on(answer)));
    };
    entry.record.released(&Ok(()));
    Some(Ok(()))
}

fn is_yes(begun: &Begun) -> bool {
    matches!(begun, Begun::Done(BatchDone { answers, end: BatchEnd::Done }) if answers[..] == [true])
}

/// Has pglock's thread carry out what is not for this caller.
fn settle_left_over(register: &Arc<Register>, database: &Database) {
    if register.lock().collect_left_over() {
        let database = database.clone();
        register
            .thread
            .run(move || State::here().arbiter(&database).settle_left_over());
    }
}

impl Loan {
    fn run(&self, register: &Register, database: &Database) -> Begun {
        if self.borrowed.is_first {
            let (database, session) = (database.clone(), self.session);
            register
                .thread
                .run(move || State::here().arbiter(&database).watch_loans(session));
        }
        self.borrowed.run_batch(self.ops.clone())
    }

    fn hand_back(self, register: &Register, database: Database, begun: Begun, asks: Option<Asks>) {
        let handed_back = HandedBack {
            session: self.session,
            permit: self.borrowed.into_permit(),
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
