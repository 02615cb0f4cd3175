//! The engine: one background thread per process that owns pglock's own sessions.
//!
//! Callers send commands and wait for answers on channels that need no runtime, so that a blocking call works
//! inside a runtime, an async one on any executor, and a caller that goes away leaves the clean-up here.

mod acquire;
mod pool;
mod release;
mod session;
mod turns;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use once_cell::race::OnceBox;
use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use crate::Error;
use crate::database::Database;
use crate::drivers::Abandoned;
use crate::hold::{Hold, Lock};
use crate::options::Wait;

pub(crate) use session::SessionId;

use pool::{Lease, Pool};

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
        reply: Option<oneshot::Sender<Result<(), Error>>>,
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

/// Hands a wait that its caller has given up to the engine.
pub(crate) fn abandon(abandoned: Abandoned) -> Result<(), Error> {
    send(Command::Abandon(abandoned))
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
            if engine.process == std::process::id() && !engine.commands.is_closed() {
                return Ok(engine);
            }
            slot = slot.next.get_or_init(|| Box::new(Slot::empty()));
        }
    }

    fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
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
            .spawn(move || LocalSet::new().block_on(&runtime, serve(receiver, sender)))
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

    fn hold(&self, lock: Lock, lease: Lease) -> Hold {
        let id = HoldId(self.last_hold.get() + 1);
        self.last_hold.set(id.0);
        let session = lease.session();
        let hold = Hold::new(
            lock.clone(),
            id,
            session.id(),
            session.life(),
            self.commands.clone(),
        );
        session.holds().borrow_mut().push((id, lock.key));
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
        commands: sender,
    });
    tokio::task::spawn_local(close_idle_sessions(Rc::clone(&state)));
    while let Some(command) = commands.recv().await {
        match command {
            Command::Acquire { request, reply } => {
                let pool = state.pool(&request.lock.database);
                tokio::task::spawn_local(acquire::serve(Rc::clone(&state), pool, request, reply));
            }
            Command::Release { hold, reply } => {
                let held = state.holds.borrow_mut().remove(&hold);
                if let Some(Held { lock, lease }) = held {
                    let holds = lease.session().holds();
                    holds.borrow_mut().retain(|(id, _)| *id != hold);
                    // Noted before the next command is looked at: see `Turns::releasing`.
                    let releasing = lease.pool().turns().releasing(lock.key);
                    tokio::task::spawn_local(release::serve(lock, lease, releasing, reply));
                }
            }
            Command::Abandon(abandoned) => {
                tokio::task::spawn_local(abandoned.clean_up());
            }
            #[cfg(test)]
            Command::Panic => panic!("a test asked for it"),
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
        db.wait_for_no_locks();
        lock().acquire().unwrap().release().unwrap();
    }
}
