//! A wait that has been ordered, as those see it who end it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

use crate::engine::ids::SectionId;

/// A wait that has been ordered.
#[derive(Default)]
pub(in crate::engine::arbiter) struct ActiveWait {
    pub(in crate::engine::arbiter) cancel: Notify,
    /// To begin the wait anew: somebody waits for the end of its statement.
    pub(in crate::engine::arbiter) anew: Notify,
    /// The statement that waits: its backend, and since when.
    pub(in crate::engine::arbiter) statement: Cell<Option<(i32, Instant)>>,
    /// The sections of all who wait for the key. They change while it is waited for.
    pub(in crate::engine::arbiter) sections: Rc<RefCell<Vec<SectionId>>>,
}
