//! Sessions and locks for unit tests.

use std::time::Duration;

use super::{Activity, Lock, LockKind, LockMode};

pub(crate) fn activity(pid: i32) -> Activity {
    Activity::with_pid(pid)
}

pub(crate) fn lock(pid: i32, mode: LockMode, granted: bool) -> Lock {
    Lock {
        kind: LockKind::Advisory,
        mode,
        granted,
        wait_start: None,
        wait_duration: (!granted).then_some(Duration::from_millis(1500)),
        rel_kind: None,
        rel_name: None,
        schema: None,
        rel_oid: None,
        rel_of_row: false,
        advisory_key: None,
        advisory_name: None,
        held_since: None,
        classid: None,
        objid: None,
        objsubid: None,
        object: None,
        activity: activity(pid),
    }
}
