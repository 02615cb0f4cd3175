//! A connection and the task that drives it, before it is known whether it can be a session.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio_postgres::Client;
use tokio_postgres::error::DbError;

use super::driver::SharedDriver;
use super::held::HeldLocks;
use super::last_answer::LastAnswer;
use crate::database::{Connected, Database};
use crate::drivers;
use crate::engine::ids::SessionState;
use crate::error::Failure;
use crate::sql::Rows;
use crate::telemetry::SessionGauge;
use crate::wire::{ExtendedQuery, SimpleQuery};

/// What a session shares with the task that lasts as long as it does.
#[derive(Clone)]
pub(super) struct SessionTask {
    pub(super) state: watch::Receiver<SessionState>,
    pub(super) abort: AbortHandle,
    pub(super) shutdown: Rc<Shutdown>,
    pub(super) held_locks: Arc<HeldLocks>,
    pub(super) last_answer: Arc<LastAnswer>,
    pub(super) gauge: Rc<SessionGauge>,
}

impl SessionTask {
    /// Starts it. It lasts until it is known why the session has ended, and then as long as its holders need; what it has is
    /// closed at its end.
    pub(super) fn start(
        database: &Database,
        last_answer: Arc<LastAnswer>,
        has: impl Sized + 'static,
        why_ended: impl Future<Output = String> + 'static,
    ) -> Self {
        let (state_sender, state) = watch::channel(SessionState::Open);
        let (shutdown, held_locks) = (Rc::<Shutdown>::default(), Arc::<HeldLocks>::default());
        let gauge = Rc::new(SessionGauge::of(database));
        let task = tokio::task::spawn_local({
            let (shutdown, held_locks) = (Rc::clone(&shutdown), Arc::clone(&held_locks));
            let counted = Counted(Rc::clone(&gauge));
            async move {
                let (_counted, _has) = (counted, has);
                let reason = tokio::select! {
                    reason = why_ended => reason,
                    reason = shutdown.reason() => reason.to_owned(),
                };
                state_sender.send_replace(SessionState::Closed {
                    reason: reason.clone(),
                });
                held_locks.lost(&reason);
                // Only then is the socket closed: the server may free the locks as soon as it sees that, and a body
                // that has to be dropped first may have to wait for its executor.
                tokio::time::sleep(shutdown.grace()).await;
            }
        });
        Self {
            state,
            abort: task.abort_handle(),
            shutdown,
            held_locks,
            last_answer,
            gauge,
        }
    }
}

/// What pglock itself has decided about a session. The server or the network can end it too.
#[derive(Default)]
pub(super) struct Shutdown {
    phase: Cell<ShutdownPhase>,
    requested: Notify,
}

#[derive(Clone, Copy, Default)]
enum ShutdownPhase {
    #[default]
    Open,
    /// Its holders are told at once, and the socket is closed after `grace`.
    GivenUp {
        reason: &'static str,
        grace: Duration,
    },
    /// The socket is closed.
    Aborted,
}

impl Shutdown {
    pub(super) fn give_up(&self, reason: &'static str, grace: Duration) {
        self.phase.set(ShutdownPhase::GivenUp { reason, grace });
        self.requested.notify_one();
    }

    pub(super) fn abort(&self) {
        if !self.is_given_up() {
            self.phase.set(ShutdownPhase::Aborted);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase.get(), ShutdownPhase::Open)
    }

    pub(super) fn is_given_up(&self) -> bool {
        matches!(self.phase.get(), ShutdownPhase::GivenUp { .. })
    }

    /// Completes when the session is given up.
    async fn reason(&self) -> &'static str {
        self.requested.notified().await;
        match self.phase.get() {
            ShutdownPhase::GivenUp { reason, .. } => reason,
            ShutdownPhase::Open | ShutdownPhase::Aborted => "",
        }
    }

    fn grace(&self) -> Duration {
        match self.phase.get() {
            ShutdownPhase::GivenUp { grace, .. } => grace,
            ShutdownPhase::Open | ShutdownPhase::Aborted => Duration::ZERO,
        }
    }
}

pub(super) struct ClientWire<'c> {
    pub(super) client: &'c Client,
    pub(super) last_answer: &'c LastAnswer,
}

impl SimpleQuery for ClientWire<'_> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        let answer = self.client.simple_query(sql).await;
        let answer = answer.map(Rows::from).map_err(Failure::from);
        self.last_answer.note(&answer);
        answer
    }
}

impl ExtendedQuery for ClientWire<'_> {
    async fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        let answer = drivers::query(self.client, sql, values).await;
        self.last_answer.note(&answer);
        answer
    }
}

/// A connection that is not a session yet. Dropping it closes it at once; dropping only its client would first wait for
/// an answer that is under way.
pub(super) struct RawConnection {
    client: Option<Client>,
    driver: Arc<SharedDriver>,
    task: SessionTask,
}

impl RawConnection {
    pub(super) async fn open(database: &Database) -> Result<Self, Failure> {
        let Connected {
            client,
            driver,
            switch,
        } = database.connect().await?;
        let driver = SharedDriver::new(driver, switch);
        let last_answer = Arc::new(LastAnswer::now());
        let closes = driver.close_on_drop();
        let why_ended = {
            let (driver, last_answer) = (Arc::clone(&driver), Arc::clone(&last_answer));
            async move {
                let ended = driver.run().await;
                // Who has asked last notes first what the server said to that.
                tokio::task::yield_now().await;
                why_ended(ended, last_answer.last_words())
            }
        };
        Ok(Self {
            client: Some(client),
            driver,
            task: SessionTask::start(database, last_answer, closes, why_ended),
        })
    }

    pub(super) fn client(&self) -> &Client {
        self.client
            .as_ref()
            .expect("it is taken by `into_parts` only")
    }

    pub(super) async fn query(&self, sql: &str) -> Result<Rows, Failure> {
        let mut wire = ClientWire {
            client: self.client(),
            last_answer: &self.task.last_answer,
        };
        wire.simple_query(sql).await
    }

    pub(super) fn into_parts(mut self) -> (Client, Arc<SharedDriver>, SessionTask) {
        let client = self.client.take().expect("it is taken once");
        (client, Arc::clone(&self.driver), self.task.clone())
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        if self.client.is_some() {
            self.task.abort.abort();
        }
    }
}

/// The part of a task that lasts as long as it does, also if it is aborted.
struct Counted(Rc<SessionGauge>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.has_ended();
    }
}

/// Why a session has ended that pglock itself has closed.
pub(super) const CLOSED: &str = "its session was closed";

fn why_ended(ended: Result<(), tokio_postgres::Error>, last_words: Option<&str>) -> String {
    let Err(error) = ended else {
        return CLOSED.to_owned();
    };
    match error.as_db_error().map(DbError::message).or(last_words) {
        Some(said) => format!("the server ended its session ({said})"),
        None => "the connection of its session broke".to_owned(),
    }
}
