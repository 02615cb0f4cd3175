//! Sessions of pglock's own: what happens while none can be opened, and how many there are.

mod bound;
mod connects;
mod dropped_waits;
mod helper;

use std::sync::LazyLock;
use std::sync::mpsc;

use pglock_tests::{BOUND, Server, TestDb, background, wait_until};

/// Of our own also where `DATABASE_URL` names one: its backends are stopped, and it is filled.
static SERVER: LazyLock<Server> = LazyLock::new(Server::start);

/// Holds a lock without pglock's sessions.
pub(crate) fn hold(db: &TestDb, name: &'static str) -> impl FnOnce() + use<> {
    let (sender, receiver) = mpsc::channel::<()>();
    let mut client = db.connect();
    let held = background("it is released", move || {
        let lock = pglock::advisory(name).on(&mut client).acquire().unwrap();
        let _ = receiver.recv();
        lock.release().unwrap();
    });
    // Else a lock that is to be waited for may be free.
    wait_until("it is held", BOUND, || {
        db.held(pglock::advisory_id(name)) == 1
    });
    move || {
        drop(sender);
        held.finish(BOUND);
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap()
}
