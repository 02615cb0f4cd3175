//! Asks the server, and comes back to it when it was away.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use pglock::{Activity, Database, Lock, WaitGraph};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio_postgres::Client;

use super::rows::{self, SessionId, Sheet};
use crate::args::{Select, View};
use crate::commands::act::hit;
use crate::commands::act::victims::{Outcome, Verb, Victim};
use crate::commands::look::limits::{self, Limit};
use crate::commands::look::query::{self, ByName, Server};
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::show::attribute::{Naming, why_left_out};

/// The server ends a statement of ours sooner: after that, nobody is there.
const NO_ANSWER: Duration = Duration::from_secs(15);

pub(super) struct Source {
    database: Database,
    select: Select,
    names: Names,
    by_name: Option<ByName>,
    session: Option<Session>,
}

struct Session {
    client: Client,
    server: Server,
}

/// What was found at one moment.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) sheet: Sheet,
    /// All that are in a row of it.
    pub(super) sessions: HashMap<SessionId, Activity>,
    /// Who waits for whom, where that was asked.
    pub(super) waits: Vec<(SessionId, SessionId)>,
    /// By this machine's clock.
    pub(super) at: SystemTime,
    pub(super) took: Duration,
    pub(super) statements: usize,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) why: String,
    /// There is no connection; or else the server refused to answer.
    pub(super) is_lost: bool,
}

pub(super) enum Request {
    Look(View),
    Hit(Verb, Vec<Victim>),
}

pub(super) enum Answer {
    Looked(View, Result<Picture, Trouble>),
    /// What became of each, in a line.
    Hit(Vec<String>),
}

impl Source {
    pub(super) fn new(database: Database, select: Select, names: Names) -> Self {
        Self {
            database,
            select,
            names,
            by_name: None,
            session: None,
        }
    }

    /// Answers one request after the other, until nobody asks any more.
    pub(super) async fn serve(
        mut self,
        mut requests: UnboundedReceiver<Request>,
        answers: UnboundedSender<Answer>,
    ) {
        while let Some(request) = requests.recv().await {
            let answer = match request {
                Request::Look(view) => {
                    super::panic_for_a_test::at("look");
                    let looked = self.look(view).await;
                    let looked = looked.map_err(|failure| self.trouble(&failure));
                    Answer::Looked(view, looked)
                }
                Request::Hit(verb, victims) => Answer::Hit(self.hit(verb, &victims).await),
            };
            if answers.send(answer).is_err() {
                return;
            }
        }
    }

    fn trouble(&self, failure: &Failure) -> Trouble {
        Trouble {
            why: failure.text(),
            is_lost: !self.is_connected(),
        }
    }

    fn is_connected(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| !session.client.is_closed())
    }

    pub(super) async fn look(&mut self, view: View) -> Result<Picture, Failure> {
        let looked = tokio::time::timeout(NO_ANSWER, self.picture(view)).await;
        looked.unwrap_or_else(|_| self.gives_no_answer())
    }

    /// The same, of the graph alone.
    pub(super) async fn graph(&mut self) -> Result<WaitGraph, Failure> {
        let looked = tokio::time::timeout(NO_ANSWER, self.trees()).await;
        looked.map_or_else(|_| self.gives_no_answer(), |looked| Ok(looked?.0))
    }

    fn gives_no_answer<T>(&mut self) -> Result<T, Failure> {
        self.session = None;
        Err(Failure::new("the server does not answer"))
    }

    /// Who was asked last.
    pub(super) fn server(&self) -> Option<&Server> {
        self.session.as_ref().map(|session| &session.server)
    }

    /// A session that works is kept, whatever it says: a server that is full would not give it back.
    async fn connected(&mut self) -> Result<&mut Session, Failure> {
        if !self.is_connected() {
            self.session = None;
        }
        if self.session.is_none() {
            let client = connect::to_look(&self.database).await?;
            let server = Server::of(&client).await?;
            if self.by_name.is_none() {
                let by_name = ByName::of(&self.select, &server.database, &mut self.names)?;
                self.by_name = Some(by_name);
            }
            self.session = Some(Session { client, server });
        }
        let session = self.session.as_mut();
        session.ok_or_else(no_connection)
    }

    async fn picture(&mut self, view: View) -> Result<Picture, Failure> {
        self.connected().await?;
        let began = Instant::now();
        if view == View::Blocked {
            let (graph, statements) = self.trees().await?;
            let took = began.elapsed();
            let sheet = rows::blocked(&graph, self.naming());
            let sessions = graph.sessions().iter().map(|session| &session.activity);
            let waits = graph.edges().map(|edge| {
                let of = SessionId::of;
                (of(&edge.waiter.activity), of(&edge.blocker.activity))
            });
            return Ok(Picture {
                sheet,
                sessions: by_id(sessions),
                waits: waits.collect(),
                at: SystemTime::now(),
                took,
                statements,
            });
        }
        let locks = self.locks(view).await?;
        let limits = limits::among(&locks, self.names.limits());
        self.names
            .add_of_limits(limits.iter().flat_map(Limit::names));
        let took = began.elapsed();
        let sheet = match view {
            View::Named => rows::named(&locks, self.naming()),
            View::Sessions => rows::sessions(&locks, self.naming()),
            View::Locks | View::Blocked => rows::locks(&locks, self.naming()),
        };
        Ok(Picture {
            sheet,
            sessions: by_id(locks.iter().map(|lock| &lock.activity)),
            waits: Vec::new(),
            at: SystemTime::now(),
            took,
            statements: 1,
        })
    }

    pub(super) fn naming(&self) -> Naming<'_> {
        Naming {
            names: &self.names,
            database: self.server().map_or("", |server| &server.database),
        }
    }

    /// The trees that what is selected has part in, and by how many statements.
    async fn trees(&mut self) -> Result<(WaitGraph, usize), Failure> {
        let select = self.select.clone();
        let mut query = pglock::wait_graph();
        // The graph, and the limits.
        let mut statements = 2;
        let by_graph = Select {
            pid: select.pid.clone(),
            on: select.on.clone(),
            ..Select::default()
        };
        let is_by_graph = select == by_graph;
        let by_table = is_by_graph && !select.on.is_empty();
        if by_table {
            query = query.on(select.on.iter().map(String::as_str));
        }
        let pids = if is_by_graph {
            (!select.pid.is_empty()).then_some(select.pid)
        } else {
            let locks = self.found(&select).await?;
            statements += 1;
            Some(locks.into_iter().map(|lock| lock.activity.pid).collect())
        };
        self.connected().await?;
        let Some(session) = &mut self.session else {
            return Err(no_connection());
        };
        let limits = limits::of_server(&mut session.client, &self.names, []).await?;
        self.names
            .add_of_limits(limits.iter().flat_map(Limit::names));
        let graph = limits::graph(&mut session.client, query, pids, by_table, &limits);
        Ok((graph.await?, statements))
    }

    async fn locks(&mut self, view: View) -> Result<Vec<Lock>, Failure> {
        let mut select = self.select.clone();
        if view == View::Named {
            select.filter.push("kind=ADVISORY".to_owned());
        }
        let mut locks = self.found(&select).await?;
        let own_pid = self.server().map_or(0, |server| server.pid);
        if view == View::Locks {
            let by_table = !select.on.is_empty();
            locks.retain(|lock| why_left_out(lock, own_pid, by_table).is_none());
        } else {
            locks.retain(|lock| lock.activity.pid != own_pid);
        }
        Ok(locks)
    }

    async fn found(&mut self, select: &Select) -> Result<Vec<Lock>, Failure> {
        let all = ByName::default();
        let query = query::locks(select, self.by_name.as_ref().unwrap_or(&all))?;
        let session = self.connected().await?;
        let mut locks = query.fetch_async(&mut session.client).await?;
        if let Some(by_name) = &self.by_name {
            locks.retain(|lock| by_name.fits(lock));
        }
        Ok(locks)
    }

    async fn hit(&mut self, verb: Verb, victims: &[Victim]) -> Vec<String> {
        let mut told = Vec::new();
        for victim in victims {
            let outcome = tokio::time::timeout(NO_ANSWER, self.signal(verb, victim)).await;
            told.push(match outcome.unwrap_or_else(|_| self.gives_no_answer()) {
                Ok(outcome) => victim.told(&outcome, verb),
                Err(failure) => format!("{}: not hit, {}", victim.who(), failure.text()),
            });
        }
        told
    }

    async fn signal(&mut self, verb: Verb, victim: &Victim) -> Result<Outcome, Failure> {
        let session = self.connected().await?;
        hit::signal(&mut session.client, victim, &victim.select(), verb).await
    }
}

fn no_connection() -> Failure {
    Failure::new("there is no connection")
}

fn by_id<'a>(activities: impl Iterator<Item = &'a Activity>) -> HashMap<SessionId, Activity> {
    let mut sessions = HashMap::new();
    for activity in activities {
        let session = sessions.entry(SessionId::of(activity));
        session.or_insert_with(|| activity.clone());
    }
    sessions
}
