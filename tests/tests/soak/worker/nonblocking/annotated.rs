//! Functions under the attributes.

use std::future::Future;
use std::time::Duration;

use pglock::{Database, LockId};

use crate::worker::Failure;

#[pglock::advisory(lock_id = id, using = here, timeout = wait)]
pub(super) async fn annotated(
    here: &Database,
    id: LockId,
    wait: Option<Duration>,
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<(), Failure> {
    body.await
}

#[pglock::advisory(lock_id = id, using = here, timeout = 0, side_effect = Skip)]
pub(super) async fn skipping(
    here: &Database,
    id: LockId,
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<Option<()>, Failure> {
    body.await.map(Some)
}

#[pglock::advisory(all(ids[0].clone(), ids[1].clone()), using = here, timeout = wait)]
pub(super) async fn several(
    here: &Database,
    ids: &[LockId; 2],
    wait: Option<Duration>,
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<(), Failure> {
    body.await
}

#[pglock::advisory(all(ids[0].clone(), ids[1].clone()), using = here, timeout = 0, side_effect = Skip)]
pub(super) async fn skipping_several(
    here: &Database,
    ids: &[LockId; 2],
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<Option<()>, Failure> {
    body.await.map(Some)
}

#[pglock::limit(permits, lock_id = id, using = here, timeout = wait)]
pub(super) async fn limited(
    here: &Database,
    (permits, id): (u32, LockId),
    wait: Option<Duration>,
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<(), Failure> {
    body.await
}

#[pglock::limit(permits, lock_id = id, using = here, timeout = 0, side_effect = Skip)]
pub(super) async fn skipping_limited(
    here: &Database,
    (permits, id): (u32, LockId),
    body: impl Future<Output = Result<(), Failure>> + Send,
) -> Result<Option<()>, Failure> {
    body.await.map(Some)
}
