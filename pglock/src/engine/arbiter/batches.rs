//! Sends sessions what the ledger has for them, and tells it the answers.

use std::rc::Rc;
use std::time::Instant;

use tokio_postgres::error::SqlState;

use super::Arbiter;
use super::cause::Cause;
use crate::engine::heartbeat;
use crate::engine::ledger::{Action, Answer, Op, SessionId};
use crate::engine::pool::DIED_WHILE_IDLE;
use crate::engine::session::answer::answered;
use crate::engine::session::{BatchEnd, Exclusive, Session};
use crate::error::Failure;
use crate::model::options::Scope;
use crate::sql;
use crate::wire::SimpleQuery;
use crate::wire::canceled::until_not_canceled;
use crate::wire::protocol;
use crate::wire::reply::Released;

/// How many operations a statement may have. More would not be faster, and would keep others waiting.
const MAX_OPERATIONS: usize = 512;

/// A batch that a session was sent.
pub(super) struct SentBatch {
    pub(super) id: SessionId,
    pub(super) ops: Vec<Op>,
    pub(super) began: Instant,
}

/// What is left of a session after a batch.
enum After {
    /// It can be used. The cause is why an operation failed, if one did.
    Usable(Option<Cause>),
    Over {
        cause: Cause,
        ask_again: bool,
    },
}

impl Arbiter {
    /// Sends a session its next batch. What is asked for meanwhile is in the one after that.
    pub(super) async fn send(self: &Rc<Self>, id: SessionId) {
        let Some(session) = self.session(id) else {
            return;
        };
        let exclusive = session.exclusive().await;
        if !session.is_usable() {
            let cause = Cause::ended(&session, None).await;
            drop(exclusive);
            self.end_session(id, &session, true, &cause);
            return;
        }
        let mut ops = Vec::new();
        if self.is_open(id, &session) {
            let mut entries = self.register();
            entries.ledger.next_batch(id, MAX_OPERATIONS, &mut ops);
            if ops.len() > 1 {
                self.register.crowd.note();
            }
        }
        self.settle(None);
        if ops.is_empty() {
            return;
        }
        let began = Instant::now();
        let mut done = Vec::with_capacity(ops.len());
        let converse = self.converse(id, &session, &exclusive, &ops, &mut done);
        let end = answered(&session, self.pool.database().liveness(), converse).await;
        let sent = SentBatch { id, ops, began };
        self.end_batch(&session, exclusive, sent, done, end).await;
    }

    /// Tells the ledger what became of a batch; none: the server has not answered in time.
    pub(super) async fn end_batch(
        self: &Rc<Self>,
        session: &Rc<Session>,
        exclusive: Exclusive<'_>,
        SentBatch { id, ops, began }: SentBatch,
        done: Vec<bool>,
        end: Option<BatchEnd>,
    ) {
        let yes_or_no = |yes| if yes { Answer::Yes } else { Answer::No };
        let mut answers: Vec<Answer> = done.into_iter().map(yes_or_no).collect();
        let after = match end {
            Some(BatchEnd::Done) => After::Usable(None),
            Some(BatchEnd::WrongBackend) => {
                self.pool.close_wrong_backend(session);
                let cause = Cause::Pooler;
                After::Over {
                    cause,
                    ask_again: false,
                }
            }
            Some(BatchEnd::Failed(failure)) if failure.session_ended => After::Over {
                cause: Cause::ended(session, Some(failure)).await,
                ask_again: began.elapsed() < DIED_WHILE_IDLE,
            },
            Some(BatchEnd::Failed(failure)) => {
                let is_known = match ops.get(answers.len()) {
                    None => true,
                    Some(op) => {
                        let answer = in_doubt(session, &exclusive, op, &failure).await;
                        answers.extend(answer);
                        answer.is_some()
                    }
                };
                if is_known {
                    answers.resize(ops.len(), Answer::NotRun);
                    After::Usable(Some(Cause::Failed(failure)))
                } else {
                    self.pool.close_broken(session, ops[0].key);
                    let cause = Cause::ended(session, Some(failure)).await;
                    After::Over {
                        cause,
                        ask_again: false,
                    }
                }
            }
            None => After::Over {
                cause: Cause::ended(session, Some(Failure::silent())).await,
                ask_again: false,
            },
        };
        drop(exclusive);
        match after {
            After::Usable(cause) => {
                self.tell_answers(id, session, &answers, cause.as_ref());
                if !session.held_locks().is_empty() {
                    heartbeat::name_locks_soon(session, self.pool.database().liveness());
                }
            }
            After::Over { cause, ask_again } => {
                self.tell_answers(id, session, &answers, None);
                self.end_session(id, session, ask_again, &cause);
            }
        }
    }

    fn tell_answers(
        self: &Rc<Self>,
        id: SessionId,
        session: &Rc<Session>,
        answers: &[Answer],
        cause: Option<&Cause>,
    ) {
        if !self.is_open(id, session) {
            return;
        }
        {
            let ledger = &mut self.register().ledger;
            for (nth, answer) in answers.iter().enumerate() {
                ledger.answer(id, nth, *answer);
            }
        }
        // Its session is idle again before a caller goes on.
        self.give_back(id);
        self.settle(cause);
    }

    async fn converse(
        &self,
        id: SessionId,
        session: &Rc<Session>,
        exclusive: &Exclusive<'_>,
        ops: &[Op],
        answers: &mut Vec<bool>,
    ) -> BatchEnd {
        let is_shared = {
            let book = self.book.borrow();
            book.sessions
                .get(&id)
                .is_some_and(|open| open.role.is_some())
        };
        let released = match ops {
            _ if !session.has_server() => return exclusive.run_batch(ops, answers).await,
            [op] if session.scope() == Scope::Transaction => in_transaction(exclusive, op).await,
            [
                Op {
                    key,
                    action: Action::Unlock(mode),
                },
            ] if !is_shared => {
                // Preparing a statement for one release would cost a round trip more.
                let pid = session.backend().pid;
                protocol::release_own(&mut exclusive.wire(), *key, *mode, pid).await
            }
            _ => return exclusive.run_batch(ops, answers).await,
        };
        match released {
            Released::Yes => answers.push(true),
            Released::NotHeld => answers.push(false),
            Released::Failed(failure) => return BatchEnd::Failed(failure),
            Released::WrongBackend | Released::InTransaction { .. } | Released::AndRolledBack => {
                return BatchEnd::WrongBackend;
            }
        }
        BatchEnd::Done
    }
}

/// What is true of the operation that a failed statement may have done or not. `None`: the session's state is not known.
async fn in_doubt(
    session: &Session,
    exclusive: &Exclusive<'_>,
    op: &Op,
    failure: &Failure,
) -> Option<Answer> {
    let canceled = failure.is(&SqlState::QUERY_CANCELED);
    if session.scope() == Scope::Transaction || !canceled && !failure.is(&SqlState::OUT_OF_MEMORY) {
        return None;
    }
    let (Action::Try(mode) | Action::Unlock(mode)) = op.action else {
        return Some(Answer::NotRun);
    };
    let holds = sql::advisory::holds(op.key, mode);
    let is_held = until_not_canceled(&mut exclusive.wire(), &holds).await;
    let is_held = is_held.ok()?.last_bool()?;
    Some(match op.action {
        Action::Try(_) if is_held => Answer::Yes,
        Action::Try(_) if canceled => Answer::NotRun,
        Action::Try(_) => Answer::Failed,
        _ if is_held => Answer::NotRun,
        _ => Answer::Yes,
    })
}

async fn in_transaction(exclusive: &Exclusive<'_>, op: &Op) -> Released {
    let statement = match op.action {
        Action::Unlock(_) => sql::transaction::COMMIT,
        Action::Confirm | Action::Try(_) | Action::ProbeShared => sql::session::BACKEND_PID,
    };
    match exclusive.wire().simple_query(statement).await {
        Ok(_) => Released::Yes,
        Err(failure) => Released::Failed(failure),
    }
}
