//! The engine: one background thread per process that owns pglock's own sessions.
//!
//! Callers send commands and wait for answers on channels that need no runtime, so that a blocking call works
//! inside a runtime, an async one on any executor, and a caller that goes away leaves the clean-up here.

mod acquire;
mod announced;
mod environment;
mod heartbeat;
mod holds;
mod pool;
mod release;
mod sections;
mod session;
mod turns;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use once_cell::race::OnceBox;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::Error;
use crate::backend::Backend;
use crate::database::Database;
use crate::drivers::Abandoned;
use crate::hold::{Hold, Life, Lock};
use crate::locks::{BlockedLock, Locks};
use crate::options::Wait;
use crate::park;
use crate::prioritize::{Ended, PrioritizeReport, SectionId, Strike, Watch};
use crate::telemetry::{Holding, Origin, Subject};

pub(crate) use session::SessionId;

use pool::{Lease, Pool};
use sections::Sections;

/// How often sessions that nobody uses are looked at.
const IDLE_CHECK: Duration = Duration::from_secs(10);

/// Names a granted lock between its holder and the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId(u64);

pub(crate) enum Command {
    Acquire {
        request: Request,
        reply: Reply,
    },
    Release {
        hold: HoldId,
        /// For how long the lock is kept all the same.
        keep_until: Option<Instant>,
        reply: Option<release::Reply>,
    },
    /// Answered when no lock is kept after its call any more.
    Drain {
        reply: oneshot::Sender<()>,
    },
    /// Answered at that time.
    Wake {
        at: Instant,
        reply: oneshot::Sender<()>,
    },
    Watch {
        section: SectionId,
        watch: Watch,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    Unwatch {
        section: SectionId,
        reply: Option<oneshot::Sender<Ended>>,
    },
    Report {
        section: SectionId,
        reply: oneshot::Sender<PrioritizeReport>,
    },
    /// What a side effect asks for.
    FetchBlocked {
        section: SectionId,
        locks: Locks<BlockedLock>,
        reply: oneshot::Sender<Result<Vec<BlockedLock>, Error>>,
    },
    /// What a side effect does.
    Strike {
        section: SectionId,
        waiting: Vec<Backend>,
        strike: Strike,
        reply: oneshot::Sender<Result<Vec<i32>, Error>>,
    },
    /// A wait on a connection of the caller's that the caller has given up.
    Abandon(Abandoned),
    #[cfg(test)]
    Panic,
}

/// Where the lock goes; closed when the caller has gone away.
pub(crate) type Reply = oneshot::Sender<Result<Hold, Error>>;

/// A lock that a caller waits for.
pub(crate) struct Request {
    pub(crate) lock: Lock,
    pub(crate) wait: Wait,
    /// What the calls around this one hold.
    pub(crate) around: Option<Around>,
    /// Whether to look up who holds a lock that is busy.
    pub(crate) describe_holder: bool,
    /// Where it was asked for.
    pub(crate) origin: Origin,
    /// The prioritized sections around, which the wait is a wait of.
    pub(crate) sections: Vec<SectionId>,
}

/// The locks of the calls around one: a wait on their session lets Postgres see a deadlock that includes them.
pub(crate) struct Around {
    /// The session of the innermost.
    pub(crate) session: SessionId,
    /// All of them.
    pub(crate) holds: Vec<HoldId>,
}

/// Asks the engine for a lock and waits for its answer; dropped before that, the wait is canceled in the server.
pub(crate) async fn acquire(request: Request) -> Result<Hold, Error> {
    let id = request.lock.id.clone();
    let (reply, answer) = oneshot::channel();
    send(Command::Acquire { request, reply })?;
    answer
        .await
        .unwrap_or_else(|_| Err(Error::engine_ended(&id)))
}

/// Begins to watch a section; an error when the watcher can't see it.
pub(crate) async fn watch(section: SectionId, watch: Watch) -> Result<(), Error> {
    let begin = |reply| Command::Watch {
        section,
        watch,
        reply,
    };
    ask(begin).await?
}

/// Ends a section, and waits for what is under way for it.
pub(crate) async fn unwatch(section: SectionId) -> Result<Ended, Error> {
    ask(|reply| Command::Unwatch {
        section,
        reply: Some(reply),
    })
    .await
}

/// Ends a section.
pub(crate) fn forget(section: SectionId) {
    // An engine that is gone watches nobody.
    let _ = send(Command::Unwatch {
        section,
        reply: None,
    });
}

/// What was done for a section until now.
pub(crate) async fn report(section: SectionId) -> Result<PrioritizeReport, Error> {
    ask(|reply| Command::Report { section, reply }).await
}

/// The locks that a section waits for.
pub(crate) async fn fetch_blocked(
    section: SectionId,
    locks: Locks<BlockedLock>,
) -> Result<Vec<BlockedLock>, Error> {
    let fetch = |reply| Command::FetchBlocked {
        section,
        locks,
        reply,
    };
    ask(fetch).await?
}

/// Hits who is in the way of sessions of a section.
pub(crate) async fn strike(
    section: SectionId,
    waiting: Vec<Backend>,
    strike: Strike,
) -> Result<Vec<i32>, Error> {
    let hit = |reply| Command::Strike {
        section,
        waiting,
        strike,
        reply,
    };
    ask(hit).await?
}

/// Sends a command about a section, and waits for the answer: none comes from an engine that doesn't know it.
async fn ask<T>(command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    send(command(reply))?;
    answer.await.map_err(|_| Error::watch_lost())
}

/// Hands a wait that its caller has given up to the engine.
pub(crate) fn abandon(abandoned: Abandoned) -> Result<(), Error> {
    send(Command::Abandon(abandoned))
}

/// Waits until no lock is kept after its call any more.
pub(crate) async fn drain() {
    let (reply, drained) = oneshot::channel();
    let Some(engine) = Engine::running() else {
        return;
    };
    if engine.commands.send(Command::Drain { reply }).is_ok() {
        // An engine that ends takes its sessions, and so the locks, with it.
        let _ = drained.await;
    }
}

fn send(command: Command) -> Result<(), Error> {
    let engine = Engine::current()?;
    engine
        .commands
        .send(command)
        .map_err(|_| Error::environment("pglock's thread has just ended; call again"))
}

struct Engine {
    process: u32,
    commands: mpsc::UnboundedSender<Command>,
}

/// The engines that this process has had, the latest last; it grows by one at a fork, or when the thread ends. Nobody
/// waits for anybody here: a fork could copy what another thread was in the middle of. Where two threads start an
/// engine at once, one of the two is dropped, and ends.
struct Slot {
    engine: OnceBox<Engine>,
    next: OnceBox<Slot>,
}

impl Slot {
    const fn empty() -> Self {
        Self {
            engine: OnceBox::new(),
            next: OnceBox::new(),
        }
    }
}

static ENGINES: Slot = Slot::empty();

impl Engine {
    fn current() -> Result<&'static Self, Error> {
        let mut slot = &ENGINES;
        loop {
            let engine = slot
                .engine
                .get_or_try_init(|| Self::start().map(Box::new))?;
            if engine.is_running() {
                return Ok(engine);
            }
            slot = slot.next.get_or_init(|| Box::new(Slot::empty()));
        }
    }

    /// The one that there is, if any.
    fn running() -> Option<&'static Self> {
        let slots = std::iter::successors(Some(&ENGINES), |slot| slot.next.get());
        slots
            .filter_map(|slot| slot.engine.get())
            .find(|engine| engine.is_running())
    }

    fn is_running(&self) -> bool {
        self.process == std::process::id() && !self.commands.is_closed()
    }

    fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            // The threads of side effects.
            .thread_name("pglock-watcher")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|source| {
                Error::environment(
                    "pglock's runtime could not be started; check the limit on open files",
                )
                .sourced(source)
            })?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let sender = commands.downgrade();
        std::thread::Builder::new()
            .name("pglock".into())
            .spawn(move || {
                park::refuse_to_wait_here();
                LocalSet::new().block_on(&runtime, serve(receiver, sender));
            })
            .map_err(|source| {
                Error::environment(
                    "pglock's thread could not be started; check the limit on threads",
                )
                .sourced(source)
            })?;
        Ok(Self {
            process: std::process::id(),
            commands,
        })
    }
}

/// What the engine knows. All of it lives on one thread.
struct State {
    pools: RefCell<Vec<Rc<Pool>>>,
    holds: RefCell<HashMap<HoldId, Held>>,
    last_hold: Cell<u64>,
    /// Each lock that is kept after its call has a receiver: the channel is closed while there is none.
    kept: tokio::sync::watch::Sender<()>,
    sections: Sections,
    /// Weak, so that an engine whose handle is dropped ends.
    commands: mpsc::WeakUnboundedSender<Command>,
}

/// A lock that was granted, until its release begins: on which session.
struct Held {
    lock: Lock,
    lease: Lease,
}

impl State {
    fn pool(&self, database: &Database) -> Rc<Pool> {
        let mut pools = self.pools.borrow_mut();
        if let Some(pool) = pools.iter().find(|pool| pool.database() == database) {
            return Rc::clone(pool);
        }
        let pool = Pool::new(database.clone());
        pools.push(Rc::clone(&pool));
        pool
    }

    /// Sessions that no prioritized section may hit: our own, and those of other sections.
    fn never_hit(&self) -> Vec<Backend> {
        let pools = self.pools.borrow();
        let mut backends: Vec<_> = pools.iter().flat_map(|pool| pool.backends()).collect();
        backends.extend(self.sections.connections());
        backends
    }

    fn hold(&self, lock: Lock, origin: &Origin, lease: Lease) -> Hold {
        let id = HoldId(self.last_hold.get() + 1);
        self.last_hold.set(id.0);
        let session = lease.session();
        let holding = Arc::new(Holding::begin(Subject::from(&lock), origin));
        let hold = Hold::new(
            lock.clone(),
            id,
            session.id(),
            session.life(),
            self.commands.clone(),
            Arc::clone(&holding),
        );
        session.holds().add(id, lock.key, Arc::clone(&holding));
        if let Life::Ended { why } = &*session.life().borrow() {
            // It ended before the lock was in its list.
            holding.lost(why);
        }
        self.holds.borrow_mut().insert(id, Held { lock, lease });
        hold
    }
}

async fn serve(
    mut commands: mpsc::UnboundedReceiver<Command>,
    sender: mpsc::WeakUnboundedSender<Command>,
) {
    let state = Rc::new(State {
        pools: RefCell::new(Vec::new()),
        holds: RefCell::new(HashMap::new()),
        last_hold: Cell::new(0),
        kept: tokio::sync::watch::Sender::new(()),
        sections: Sections::default(),
        commands: sender,
    });
    tokio::task::spawn_local(close_idle_sessions(Rc::clone(&state)));
    while let Some(command) = commands.recv().await {
        match command {
            Command::Acquire { request, reply } => {
                let pool = state.pool(&request.lock.database);
                tokio::task::spawn_local(acquire::serve(Rc::clone(&state), pool, request, reply));
            }
            Command::Release {
                hold,
                keep_until,
                reply,
            } => release::begin(&state, hold, keep_until, reply),
            Command::Drain { reply } => {
                let state = Rc::clone(&state);
                answer(reply, async move { state.kept.closed().await });
            }
            Command::Wake { at, reply } => {
                tokio::task::spawn_local(wake(at, reply));
            }
            Command::Watch {
                section,
                watch,
                reply,
            } => answer(reply, watch::begin(&state, section, watch)),
            Command::Unwatch { section, reply } => {
                // At once: whoever is looked at next is not for this section.
                let ended = state.sections.end(section);
                if let (Some(ended), Some(reply)) = (ended, reply) {
                    answer(reply, ended);
                }
            }
            Command::Report { section, reply } => {
                if let Some(section) = state.sections.get(section) {
                    answer(reply, async move { section.report().await });
                }
            }
            Command::FetchBlocked {
                section,
                locks,
                reply,
            } => answer(reply, watch::fetch(Rc::clone(&state), section, locks)),
            Command::Strike {
                section,
                waiting,
                strike,
                reply,
            } => answer(
                reply,
                watch::strike(Rc::clone(&state), section, waiting, strike),
            ),
            Command::Abandon(abandoned) => {
                tokio::task::spawn_local(abandoned.clean_up());
            }
            #[cfg(test)]
            Command::Panic => panic!("a test asked for it"),
        }
    }
}

/// Answers when the work is done, meanwhile others are served.
fn answer<T: 'static>(reply: oneshot::Sender<T>, work: impl Future<Output = T> + 'static) {
    tokio::task::spawn_local(async move {
        // Who asked is gone, or gets it.
        let _ = reply.send(work.await);
    });
}

/// Ends with the caller too: most calls are over long before their time is.
async fn wake(at: Instant, mut reply: oneshot::Sender<()>) {
    tokio::select! {
        () = reply.closed() => {}
        () = tokio::time::sleep_until(at.into()) => {
            let _ = reply.send(());
        }
    }
}

async fn close_idle_sessions(state: Rc<State>) {
    loop {
        tokio::time::sleep(IDLE_CHECK).await;
        state.pools.borrow_mut().retain(|pool| {
            pool.close_idle();
            // A pool that only this list knows, and that is empty, can be made anew.
            Rc::strong_count(pool) > 1 || !pool.is_empty()
        });
    }
}

/// Ends the engine's thread, for the tests of what comes after.
#[cfg(test)]
pub(crate) fn panic_engine() {
    let _ = send(Command::Panic);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pglock_tests::{BOUND, database, wait_until};

    use super::panic_engine;
    use crate::Database;

    #[test]
    fn an_engine_that_ends_is_lost_for_holders_an_error_for_waiters_and_followed_by_another() {
        let db = database();
        let here = Database::builder(db.url()).build().unwrap();
        let lock = || crate::advisory("engine").using(&here);
        let guard = lock().acquire().unwrap();
        let mut client = db.connect();
        let section = crate::prioritize().using(&here).on(&mut client).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| lock().timeout(BOUND).acquire());
            db.wait_for_waiters(1);
            panic_engine();
            assert!(waiter.join().unwrap().unwrap_err().is_connect());
        });
        wait_until("the guard knows", Duration::from_secs(1), || {
            guard.check().is_err()
        });
        assert!(guard.release().unwrap_err().is_lost());
        let error = section.finish().unwrap_err();
        assert!(error.is_connect(), "{error}");
        db.wait_for_no_locks();
        lock().acquire().unwrap().release().unwrap();
    }
}
