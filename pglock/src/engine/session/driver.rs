//! Who does the IO of a session: its task on pglock's thread, or the thread of a caller that has borrowed it.
//!
//! Only the one that has exclusive use of the session sends statements. So the driver changes hands, but never while a
//! statement is under way that the other has sent, unless that is handed over with it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

use super::pace::{Pace, SPIN, Wait};
use crate::database::{Driver, SocketSwitch};

/// Who drives a session that is lent to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Borrower {
    /// A blocking caller, whose thread has nothing else to do.
    Thread,
    /// An async caller, whose thread has other tasks.
    Task,
}

/// For how long a blocking caller drives a session that doesn't answer. Then pglock's thread does it, so that a slow network
/// keeps nobody else waiting. A task never sleeps, so its patience ends with [`SPIN`].
const PATIENCE: Duration = Duration::from_millis(2);

pub(super) struct SharedDriver {
    driving: Mutex<Driving>,
    switch: SocketSwitch,
    pace: Pace,
    /// The task on pglock's thread.
    task: AtomicWaker,
    is_lent: AtomicBool,
    is_closed: AtomicBool,
}

struct Driving {
    driver: Option<Driver>,
    /// How the connection has ended, while a borrower drove it.
    ended: Option<Result<(), tokio_postgres::Error>>,
}

/// Closes the connection when its task ends.
pub(super) struct CloseOnDrop(Arc<SharedDriver>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.is_closed.store(true, Ordering::SeqCst);
        // A borrower that is reading just now closes it when it is done.
        match self.0.driving.try_lock() {
            Ok(mut driving) => driving.driver = None,
            Err(TryLockError::Poisoned(driving)) => driving.into_inner().driver = None,
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

impl SharedDriver {
    pub(super) fn new(driver: Driver, switch: SocketSwitch) -> Arc<Self> {
        Arc::new(Self {
            driving: Mutex::new(Driving {
                driver: Some(driver),
                ended: None,
            }),
            switch,
            pace: Pace::default(),
            task: AtomicWaker::new(),
            is_lent: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
        })
    }

    pub(super) fn close_on_drop(self: &Arc<Self>) -> CloseOnDrop {
        CloseOnDrop(Arc::clone(self))
    }

    /// Drives the connection to its end, but for the time in which it is lent.
    pub(super) async fn run(&self) -> Result<(), tokio_postgres::Error> {
        poll_fn(|cx| {
            self.task.register(cx.waker());
            let mut driving = match self.driving.try_lock() {
                Ok(driving) => driving,
                Err(TryLockError::Poisoned(driving)) => driving.into_inner(),
                // A borrower drives it. The task is woken when it is taken back.
                Err(TryLockError::WouldBlock) => return Poll::Pending,
            };
            if let Some(ended) = driving.ended.take() {
                return Poll::Ready(ended);
            }
            if self.is_lent.load(Ordering::SeqCst) {
                return Poll::Pending;
            }
            match &mut driving.driver {
                Some(driver) => driver.as_mut().poll(cx),
                None => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Has the task drive the connection again. For pglock's thread, and with exclusive use of the session.
    pub(super) fn take_back(&self) {
        if self.is_lent.swap(false, Ordering::SeqCst) {
            // If it fails, the driver finds that out, and the session ends.
            let _ = self.switch.take_back();
            self.task.wake();
        }
    }

    /// Whether the server is expected to answer while a borrower spins.
    pub(super) fn is_quick(&self) -> bool {
        self.pace.is_quick()
    }

    /// Lends the connection to the thread that calls this, which has exclusive use of the session, and says whether it was
    /// with its task before. `None`: it can't be lent.
    pub(super) fn lend(&self) -> Option<bool> {
        if self.is_closed.load(Ordering::SeqCst) {
            return None;
        }
        // Its task may be polling it just now.
        let driving = self.lock();
        let was_with_task = self.switch.lend().ok()?;
        self.is_lent.store(true, Ordering::SeqCst);
        drop(driving);
        if was_with_task {
            // From now on nothing wakes the task.
            self.step(&mut Context::from_waker(Waker::noop()));
            self.wake_if_ended();
        }
        Some(was_with_task)
    }

    /// Drives the connection until the future is ready, as the one to whom it is lent. `None`: the server takes longer than
    /// the borrower waits.
    pub(super) fn drive<T>(
        &self,
        borrower: Borrower,
        future: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    ) -> Option<T> {
        let driven = self.drive_while_patient(borrower, future);
        // Not before: the future has noted by now what the server said last.
        self.wake_if_ended();
        driven
    }

    fn drive_while_patient<T>(
        &self,
        borrower: Borrower,
        mut future: Pin<&mut (impl Future<Output = T> + ?Sized)>,
    ) -> Option<T> {
        let began = Instant::now();
        let mut cx = Context::from_waker(Waker::noop());
        let mut wait = match borrower {
            Borrower::Thread => self.pace.of_thread(),
            Borrower::Task => Wait::Spin,
        };
        self.switch.sleep(sleep(wait)).ok()?;
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                self.pace.note(wait, began.elapsed());
                return Some(output);
            }
            // Writes what the future asks for.
            self.step(&mut cx);
            let elapsed = began.elapsed();
            if elapsed >= PATIENCE {
                return None;
            }
            if wait == Wait::Spin && elapsed >= SPIN {
                self.pace.note(wait, elapsed);
                if borrower == Borrower::Task {
                    return None;
                }
                wait = Wait::Sleep;
                self.switch.sleep(sleep(wait)).ok()?;
            }
            if wait == Wait::Spin {
                // The server may need this very core.
                std::thread::yield_now();
            }
            self.switch.allow_read();
            self.step(&mut cx);
        }
    }

    fn step(&self, cx: &mut Context<'_>) {
        let mut driving = self.lock();
        if driving.ended.is_none()
            && let Some(driver) = &mut driving.driver
            && let Poll::Ready(ended) = driver.as_mut().poll(cx)
        {
            driving.ended = Some(ended);
        }
        drop(driving);
        if self.is_closed.load(Ordering::SeqCst) {
            self.lock().driver = None;
        }
    }

    fn wake_if_ended(&self) {
        if self.lock().ended.is_some() {
            self.task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Driving> {
        self.driving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long a read may sleep.
fn sleep(wait: Wait) -> Option<Duration> {
    match wait {
        Wait::Spin => None,
        Wait::Sleep => Some(PATIENCE),
    }
}
