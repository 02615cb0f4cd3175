//! Runtimes that come and go, blocking calls inside one, other executors, forks, and what a call costs.

mod cost;
mod executors;
mod forks;

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use pglock::{Database, Error};
use pglock_tests::{BOUND, Child, TestDb, child, database};

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

#[pglock::advisory("shared by runtimes", using = here, timeout = "20s")]
async fn async_job(here: &Database) -> Result<u32, Error> {
    tokio::task::yield_now().await;
    Ok(1)
}

#[pglock::advisory("shared by runtimes", using = here, timeout = "20s")]
fn blocking_job(here: &Database) -> Result<u32, Error> {
    pglock::check()?;
    Ok(2)
}

/// Calls pglock in the destructor of a thread-local, after the destructors of pglock's own; in a process of its own, which
/// that aborted.
#[test]
fn a_call_in_the_destructor_of_a_thread_local_runs_as_one_without_calls_around_it() {
    const TEST: &str =
        "a_call_in_the_destructor_of_a_thread_local_runs_as_one_without_calls_around_it";
    if child::role().is_some() {
        let done = Arc::new(Mutex::new(None));
        let flush = Flush {
            here: Database::builder(child::argument("URL")).build().unwrap(),
            done: Arc::clone(&done),
        };
        let thread = std::thread::spawn(|| {
            FLUSH.with_borrow_mut(|it| *it = Some(flush));
            // Pglock's own are used after that of the test, so they go before it.
            let guard = FLUSH.with_borrow(|it| {
                let here = &it.as_ref().unwrap().here;
                let lock = pglock::advisory("before").using(here);
                lock.run(pglock::check).unwrap();
                pglock::advisory("guard").using(here).acquire().unwrap()
            });
            guard.release().unwrap();
        });
        thread.join().unwrap();
        let done = done.lock().unwrap().take();
        child::say(&format!("{done:?}"));
        return;
    }
    let db = database();
    let mut thread_ends = Child::of(TEST, "thread ends")
        .argument("URL", db.url())
        .start();
    thread_ends.wait_for_line("Some(Ok(()))", BOUND);
    thread_ends.finish(BOUND);
    db.wait_for_no_locks();
}

struct Flush {
    here: Database,
    done: Arc<Mutex<Option<Result<(), Error>>>>,
}

thread_local! {
    static FLUSH: RefCell<Option<Flush>> = const { RefCell::new(None) };
}

impl Drop for Flush {
    fn drop(&mut self) {
        let flush = || {
            assert!(pglock::check().unwrap_err().is_config());
            pglock::advisory("guard")
                .using(&self.here)
                .acquire()?
                .release()?;
            blocking_job(&self.here)?;
            let lock = pglock::advisory("async").using(&self.here);
            let limited = lock.clone().hold_at_most(BOUND);
            pollster::block_on(lock.run_async(async { pglock::check() }))?;
            pollster::block_on(limited.run_async(async { pglock::check() }))?;
            let lock = || pglock::advisory("flush").using(&self.here);
            lock().run(|| lock().run(pglock::check))
        };
        *self.done.lock().unwrap() = Some(flush());
    }
}
