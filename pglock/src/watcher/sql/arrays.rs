//! Arrays as bound values, in Postgres' text format.

use crate::model::backend::Backend;

/// The pids and the starts of sessions: two arrays of the same length.
// Input:  [Backend { pid: 7, started: Some(1) }, Backend { pid: 8, started: None }]
// Output: ["{7,8}", "{1,NULL}"]
pub(super) fn backends(backends: &[Backend]) -> [String; 2] {
    let pids = backends.iter().map(|backend| backend.pid.to_string());
    let starts = backends.iter().map(|backend| match backend.started {
        Some(started) => started.to_string(),
        None => "NULL".to_owned(),
    });
    [array(pids), array(starts)]
}

pub(super) fn booleans(booleans: impl IntoIterator<Item = bool>) -> String {
    array(booleans.into_iter().map(|boolean| boolean.to_string()))
}

// Input:  [a, b"c\d]
// Output: {"a","b\"c\\d"}
pub(super) fn texts(texts: impl IntoIterator<Item: AsRef<str>>) -> String {
    array(texts.into_iter().map(|text| {
        let escaped = text.as_ref().replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    }))
}

fn array(elements: impl Iterator<Item = String>) -> String {
    format!("{{{}}}", elements.collect::<Vec<_>>().join(","))
}
