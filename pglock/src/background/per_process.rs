//! A value that each process has for itself, behind a lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::growing_list::GrowingList;
use super::owner_process::OwnerProcess;

/// A value that each process has for itself. A fork copies a lock as it is just then, and one that another thread had taken
/// is never freed in the child: the child gets a lock of its own.
pub(crate) struct PerProcess<T>(GrowingList<Place<T>>);

struct Place<T> {
    process: OwnerProcess,
    value: Mutex<T>,
}

impl<T> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(GrowingList::new())
    }

    /// The lock of this process. A new one contains what `make` makes of the parent's value, or of none where that cannot be
    /// read.
    pub(crate) fn place(&self, make: impl Fn(Option<&T>) -> T) -> &Mutex<T> {
        let place = self.0.find_or_add(
            |place| place.process.is_current(),
            || Place {
                process: OwnerProcess::current(),
                value: Mutex::new(match self.0.iter().last().map(|it| it.value.try_lock()) {
                    Some(Ok(inherited)) => make(Some(&inherited)),
                    Some(Err(_)) | None => make(None),
                }),
            },
        );
        &place.value
    }

    pub(crate) fn lock(&self, make: impl Fn(Option<&T>) -> T) -> MutexGuard<'_, T> {
        let place = self.place(make).lock();
        place.unwrap_or_else(PoisonError::into_inner)
    }
}
