//! Functions under the attributes.

use std::time::Duration;

use pglock::{Database, LockId};

use crate::worker::Failure;

#[pglock::advisory(lock_id = id, using = here, timeout = wait)]
pub(super) fn annotated(
    here: &Database,
    id: LockId,
    wait: Option<Duration>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    body()
}

#[pglock::advisory(lock_id = id, using = here, timeout = 0, side_effect = Skip)]
pub(super) fn skipping(
    here: &Database,
    id: LockId,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<Option<()>, Failure> {
    body().map(Some)
}

#[pglock::advisory(all(ids[0].clone(), ids[1].clone()), using = here, timeout = wait)]
pub(super) fn several(
    here: &Database,
    ids: &[LockId; 2],
    wait: Option<Duration>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    body()
}

#[pglock::advisory(all(ids[0].clone(), ids[1].clone()), using = here, timeout = 0, side_effect = Skip)]
pub(super) fn skipping_several(
    here: &Database,
    ids: &[LockId; 2],
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<Option<()>, Failure> {
    body().map(Some)
}

#[pglock::limit(permits, lock_id = id, using = here, timeout = wait)]
pub(super) fn limited(
    here: &Database,
    (permits, id): (u32, LockId),
    wait: Option<Duration>,
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    body()
}

#[pglock::limit(permits, lock_id = id, using = here, timeout = 0, side_effect = Skip)]
pub(super) fn skipping_limited(
    here: &Database,
    (permits, id): (u32, LockId),
    body: impl FnOnce() -> Result<(), Failure>,
) -> Result<Option<()>, Failure> {
    body().map(Some)
}
