//! The waits of pglock's own sessions that belong to prioritized sections.
//!
//! The watcher reads them to find the sessions whose blockers it signals, and holds a permit while it signals.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::ids::SectionId;
use crate::model::backend::Backend;

#[derive(Clone, Default)]
pub(crate) struct SectionWaits(Rc<RefCell<Vec<Rc<SectionWait>>>>);

impl SectionWaits {
    /// Records that a session waits for a call in these sections, until the returned value is dropped.
    pub(super) fn begin(
        &self,
        sections: Rc<RefCell<Vec<SectionId>>>,
        backend: Backend,
    ) -> OpenSectionWait {
        let wait = Rc::new(SectionWait {
            sections,
            backend,
            ended: Cell::new(false),
            signals: Arc::default(),
        });
        self.0.borrow_mut().push(Rc::clone(&wait));
        OpenSectionWait {
            waits: Rc::clone(&self.0),
            wait,
        }
    }

    /// The waits for calls in this section.
    pub(crate) fn of(&self, section: SectionId) -> Vec<Rc<SectionWait>> {
        let waits = self.0.borrow();
        let of_it = waits
            .iter()
            .filter(|wait| wait.sections.borrow().contains(&section));
        of_it.cloned().collect()
    }
}

/// A session of pglock's own that waits.
pub(crate) struct SectionWait {
    sections: Rc<RefCell<Vec<SectionId>>>,
    backend: Backend,
    ended: Cell<bool>,
    signals: Arc<Mutex<()>>,
}

impl SectionWait {
    pub(crate) fn backend(&self) -> Backend {
        self.backend
    }

    /// A permit to signal its blockers, unless the wait is over. Its session is not reused before the permit is
    /// dropped.
    pub(crate) async fn begin_signal(&self) -> Option<OwnedMutexGuard<()>> {
        let permit = Arc::clone(&self.signals).lock_owned().await;
        (!self.ended.get()).then_some(permit)
    }
}

/// The waiting half of a [`SectionWait`].
pub(super) struct OpenSectionWait {
    waits: Rc<RefCell<Vec<Rc<SectionWait>>>>,
    wait: Rc<SectionWait>,
}

impl OpenSectionWait {
    /// Ends the wait, after a signal that is under way: otherwise the signal would be for the session's next wait.
    pub(super) async fn end(self) {
        let signals = Arc::clone(&self.wait.signals);
        drop(self);
        let _signal_is_over = signals.lock().await;
    }
}

impl Drop for OpenSectionWait {
    fn drop(&mut self) {
        self.wait.ended.set(true);
        self.waits
            .borrow_mut()
            .retain(|wait| !Rc::ptr_eq(wait, &self.wait));
    }
}
