//! A connection, before anybody knows whether it can be a session.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio_postgres::Client;

use super::held::HeldLocks;
use crate::database::Database;
use crate::database::tls;
use crate::drivers;
use crate::engine::ids::SessionState;
use crate::error::Failure;
use crate::sql::Rows;
use crate::wire::{ExtendedQuery, SimpleQuery};

/// What a session shares with the task that drives its connection.
#[derive(Clone)]
pub(super) struct ConnectionTask {
    pub(super) state: watch::Receiver<SessionState>,
    pub(super) task: AbortHandle,
    pub(super) given_up: Rc<Shutdown>,
    pub(super) holds: Rc<HeldLocks>,
}

/// How the task that drives a session's connection is told to end it.
#[derive(Default)]
pub(super) struct Shutdown {
    pub(super) why: Cell<Option<&'static str>>,
    pub(super) grace: Cell<Duration>,
    pub(super) told: Notify,
}

pub(super) struct ClientWire<'c>(pub(super) &'c Client);

impl SimpleQuery for ClientWire<'_> {
    async fn simple_query(&mut self, sql: &str) -> Result<Rows, Failure> {
        Ok(self.0.simple_query(sql).await?.into())
    }
}

impl ExtendedQuery for ClientWire<'_> {
    async fn query(&mut self, sql: &str, values: &[String]) -> Result<Rows, Failure> {
        drivers::query(self.0, sql, values).await
    }
}

/// A connection that is no session yet. It is closed at once when dropped: its client alone would wait for an answer
/// that is under way.
pub(super) struct RawConnection {
    client: Option<Client>,
    task: ConnectionTask,
}

impl RawConnection {
    pub(super) async fn open(database: &Database) -> Result<Self, Failure> {
        let (client, mut connection) = tls::connect(database.config(), database.tls()).await?;
        let (state_sender, state) = watch::channel(SessionState::Open);
        let (given_up, holds) = (Rc::<Shutdown>::default(), Rc::<HeldLocks>::default());
        let (told, held) = (Rc::clone(&given_up), Rc::clone(&holds));
        let task = tokio::task::spawn_local(async move {
            let why = tokio::select! {
                ended = &mut connection => why_ended(ended),
                () = told.told.notified() => told.why.get().unwrap_or_default().to_owned(),
            };
            state_sender.send_replace(SessionState::Closed {
                reason: why.clone(),
            });
            held.lost(&why);
            // The socket is closed after this: the server may free the locks as soon as it hears of that, and a body that is
            // to be dropped may have to wait for its executor.
            tokio::time::sleep(told.grace.get()).await;
        });
        Ok(Self {
            client: Some(client),
            task: ConnectionTask {
                state,
                task: task.abort_handle(),
                given_up,
                holds,
            },
        })
    }

    pub(super) fn client(&self) -> &Client {
        self.client.as_ref().expect("there until it is finished")
    }

    pub(super) async fn ask(&self, sql: &str) -> Result<Rows, Failure> {
        ClientWire(self.client()).simple_query(sql).await
    }

    pub(super) fn finished(mut self) -> (Client, ConnectionTask) {
        let client = self.client.take().expect("it is finished once");
        (client, self.task.clone())
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        if self.client.is_some() {
            self.task.task.abort();
        }
    }
}

fn why_ended(ended: Result<(), tokio_postgres::Error>) -> String {
    match ended {
        Ok(()) => "its session was closed".to_owned(),
        Err(error) => match error.as_db_error() {
            Some(db) => format!("the server ended its session ({})", db.message()),
            None => "the connection of its session broke".to_owned(),
        },
    }
}
