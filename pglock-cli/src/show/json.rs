//! JSON: documents with a schema's name. A number behind it rises when a field goes or changes its meaning.

use std::time::{Duration, SystemTime};

use pglock::{Activity, Lock};
use serde_json::{Value, json};

use super::attribute::{Naming, time};
use crate::names::{NamedBy, Taken};

pub(crate) fn times(at: Option<SystemTime>) -> Value {
    at.map(time).into()
}

pub(crate) fn seconds(duration: Option<Duration>) -> Value {
    duration.map(|duration| duration.as_secs_f64()).into()
}

/// `blocker` is one of the sessions that block its own, where that was asked for.
pub(crate) fn lock(lock: &Lock, blocker: Option<&Activity>, naming: Naming<'_>) -> Value {
    let mut value = json!(lock);
    if let Some(advisory) = value["advisory"].as_object_mut() {
        let named = naming.names.of_lock(lock, naming.database);
        let (name, by) = named.unzip();
        advisory.insert("name".to_owned(), name.into());
        advisory.insert("named_by".to_owned(), by.map(NamedBy::as_str).into());
    }
    value["blocking_activity"] = json!(blocker);
    value
}

/// Where a program takes a lock.
pub(crate) fn taken(taken: &Taken) -> Value {
    json!({
        "catalog": taken.catalog,
        "place": taken.place,
        "function": taken.function,
        "how": taken.how,
    })
}

/// As it is printed.
pub(crate) fn document(value: &Value) -> String {
    format!("{value:#}\n")
}
