//! pglock's own thread, which does not depend on the caller's threads and runtimes.
//!
//! There is one per process, started on first use: a current-thread runtime that runs the tasks it is sent. It knows
//! nothing about locks. After a fork, or after it has ended, the next use starts another.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;

use super::block_on::forbid_blocking_here;
use super::growing_list::GrowingList;
use super::owner_process::OwnerProcess;
use crate::error::Error;

type Task = Box<dyn FnOnce() + Send>;

/// Runs `task` on the thread, where it can spawn local futures.
///
/// Tasks begin in the order in which they were sent. One that panics ends the thread.
pub(crate) fn run(task: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    Thread::current()?
        .tasks
        .send(Box::new(task))
        .map_err(|_| thread_ended())
}

/// The error of a caller whose task has ended with the thread.
pub(crate) fn thread_ended() -> Error {
    Error::environment("pglock's thread has just ended; call again")
}

/// Runs a future on the thread.
pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
    run(move || {
        tokio::task::spawn_local(future);
    })
}

fn reply_with<T: 'static>(reply: oneshot::Sender<T>, future: impl Future<Output = T> + 'static) {
    tokio::task::spawn_local(async move {
        // A caller that went away has no use for the answer.
        let _ = reply.send(future.await);
    });
}

/// The thread, which is started if it is not running.
pub(crate) fn start() -> Result<Handle, Error> {
    Thread::current().map(Thread::handle)
}

/// The thread, if it is running.
pub(crate) fn running() -> Option<Handle> {
    THREADS
        .iter()
        .find(|thread| thread.is_running())
        .map(Thread::handle)
}

/// The thread's one value of this type, created on first use and dropped with the thread. Only for tasks on the thread.
pub(crate) fn service<T: Default + 'static>() -> Rc<T> {
    let known = SERVICES.with_borrow(|services| {
        services
            .iter()
            .find_map(|service| Rc::clone(service).downcast().ok())
    });
    known.unwrap_or_else(|| {
        let service = Rc::<T>::default();
        SERVICES.with_borrow_mut(|services| services.push(Rc::clone(&service) as Rc<dyn Any>));
        service
    })
}

/// A handle of one particular thread: what belongs to a thread that has ended must not reach the next one.
///
/// It is weak, so it does not keep the thread running.
#[derive(Clone)]
pub(crate) struct Handle(mpsc::WeakUnboundedSender<Task>);

impl Handle {
    /// The handle of the current thread. Only for tasks on pglock's thread.
    pub(crate) fn current() -> Self {
        CURRENT
            .with_borrow(Clone::clone)
            .expect("it is set before the first task begins")
    }

    /// Like [`run`], but answers `false` if the thread has ended.
    pub(crate) fn run(&self, task: impl FnOnce() + Send + 'static) -> bool {
        self.0
            .upgrade()
            .is_some_and(|tasks| tasks.send(Box::new(task)).is_ok())
    }

    /// Runs a future on the thread. The receiver gets its output, or an error if the thread has ended or ends first.
    pub(crate) fn ask<F: Future<Output: Send> + 'static>(
        &self,
        future: impl FnOnce() -> F + Send + 'static,
    ) -> oneshot::Receiver<F::Output> {
        let (reply, answer) = oneshot::channel();
        self.run(move || reply_with(reply, future()));
        answer
    }

    /// Completes at that time, or with an error if the thread has ended.
    ///
    /// The thread's own clock is used, since the caller's executor may have none.
    pub(crate) fn sleep_until(&self, at: Instant) -> oneshot::Receiver<()> {
        let (reply, woken) = oneshot::channel();
        self.run(move || {
            tokio::task::spawn_local(wake(at, reply));
        });
        woken
    }
}

/// Stops when the receiver is dropped, since most calls end long before their limit.
async fn wake(at: Instant, mut reply: oneshot::Sender<()>) {
    tokio::select! {
        () = reply.closed() => {}
        () = tokio::time::sleep_until(at.into()) => {
            let _ = reply.send(());
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Handle>> = const { RefCell::new(None) };
    static SERVICES: RefCell<Vec<Rc<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

struct Thread {
    process: OwnerProcess,
    tasks: mpsc::UnboundedSender<Task>,
}

/// The threads that this process has started, the latest last: another one after a fork, or after one has ended.
///
/// If two callers start a thread at the same time, the handle of one is dropped, and that thread ends.
static THREADS: GrowingList<Thread> = GrowingList::new();

impl Thread {
    fn current() -> Result<&'static Self, Error> {
        THREADS.find_or_try_add(Self::is_running, Self::start)
    }

    fn handle(&self) -> Handle {
        Handle(self.tasks.downgrade())
    }

    fn is_running(&self) -> bool {
        self.process.is_current() && !self.tasks.is_closed()
    }

    fn start() -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            // Its blocking pool runs the side effects of `prioritize`.
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
        let (tasks, receiver) = mpsc::unbounded_channel();
        let handle = Handle(tasks.downgrade());
        std::thread::Builder::new()
            .name("pglock".into())
            .spawn(move || {
                forbid_blocking_here();
                LocalSet::new().block_on(&runtime, serve(receiver, handle));
            })
            .map_err(|source| {
                Error::environment(
                    "pglock's thread could not be started; check the limit on threads",
                )
                .sourced(source)
            })?;
        Ok(Self {
            process: OwnerProcess::current(),
            tasks,
        })
    }
}

async fn serve(mut tasks: mpsc::UnboundedReceiver<Task>, handle: Handle) {
    CURRENT.set(Some(handle));
    let _services = DropServices;
    while let Some(task) = tasks.recv().await {
        task();
    }
}

/// Drops the services before the thread's other locals, which they may use.
struct DropServices;

impl Drop for DropServices {
    fn drop(&mut self) {
        SERVICES.take();
    }
}
