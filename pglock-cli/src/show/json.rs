//! JSON: documents with a schema's name. A number behind it rises when a field goes or changes its meaning.

use std::time::{Duration, SystemTime};

use pglock::{Activity, Lock, LockKind, RelKind, State};
use serde_json::{Value, json};

use super::attribute::{Naming, time};
use crate::names::{NamedBy, key_text};

pub(crate) fn times(at: Option<SystemTime>) -> Value {
    at.map(time).into()
}

pub(crate) fn seconds(duration: Option<Duration>) -> Value {
    duration.map(|duration| duration.as_secs_f64()).into()
}

pub(crate) fn lock(lock: &Lock, blocker: Option<&Activity>, naming: Naming<'_>) -> Value {
    json!({
        "kind": lock.kind.as_str(),
        "mode": lock.mode.as_str(),
        "granted": lock.granted,
        "wait_start": times(lock.wait_start),
        "wait_seconds": seconds(lock.wait_duration),
        "held_since": times(lock.held_since),
        "relation": relation(lock),
        "advisory": advisory(lock, naming),
        "activity": activity(&lock.activity),
        "blocking_activity": blocker.map(activity),
    })
}

fn relation(lock: &Lock) -> Value {
    let Some(name) = &lock.rel_name else {
        return Value::Null;
    };
    json!({
        "schema": lock.schema,
        "name": name,
        "kind": lock.rel_kind.map(RelKind::as_str),
        "of_row": lock.rel_of_row,
    })
}

/// Keys of 64 bits are texts: JavaScript and `jq` would round numbers of that size.
fn advisory(lock: &Lock, naming: Naming<'_>) -> Value {
    if lock.kind != LockKind::Advisory {
        return Value::Null;
    }
    let named = naming.names.of_lock(lock, naming.database);
    let (name, by) = named.unzip();
    json!({
        "key": lock.advisory_key.as_ref().map(key_text),
        "classid": lock.classid,
        "objid": lock.objid,
        "objsubid": lock.objsubid,
        "name": name,
        "named_by": by.map(NamedBy::as_str),
    })
}

pub(crate) fn activity(activity: &Activity) -> Value {
    json!({
        "pid": activity.pid,
        "application_name": activity.application_name,
        "user": activity.user,
        "client_addr": activity.client_addr.map(|address| address.to_string()),
        "state": activity.state.map(State::as_str),
        "backend_type": activity.backend_type,
        "backend_start": times(activity.backend_start),
        "xact_start": times(activity.xact_start),
        "state_change": times(activity.state_change),
        "duration_seconds": seconds(activity.duration),
        "query": activity.query,
        "context": activity.context,
    })
}

/// As it is printed.
pub(crate) fn document(value: &Value) -> String {
    format!("{value:#}\n")
}
