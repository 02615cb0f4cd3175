//! The catalogs of programs: files that `pglock::answer_catalog()` writes.

use std::path::Path;

use pglock::LockId;
use serde_json::Value;

use super::entry::{Entry, NamedBy, Taken, read_key};
use crate::failure::Failure;
use crate::text;

/// What is read; a number that is higher has fields that mean something else.
const SCHEMA: &str = "pglock/catalog/1";

/// The advisory locks of a catalog that have a name or a key.
pub(super) fn read(path: &Path) -> Result<Vec<Entry>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
    let catalog = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    parse(&text, &catalog).ok_or_else(|| {
        Failure::new(format!(
            "{} is not a catalog of locks; a program with `pglock::answer_catalog()` at the start of `main` writes it where PGLOCK_CATALOG says",
            path.display()
        ))
    })
}

fn parse(text: &str, catalog: &str) -> Option<Vec<Entry>> {
    let document: Value = serde_json::from_str(text).ok()?;
    if document["schema"] != SCHEMA {
        return None;
    }
    let locks = document["locks"].as_array()?.iter();
    let takes_one = |lock: &&Value| {
        ["advisory", "leader", "limit"]
            .iter()
            .any(|it| lock["attribute"] == *it)
    };
    let locks = locks.filter(takes_one);
    Some(locks.filter_map(|lock| entry(lock, catalog)).collect())
}

/// None for a lock that its program chooses when it runs.
fn entry(lock: &Value, catalog: &str) -> Option<Entry> {
    let key = lock["key"].as_str();
    // A name is believed only if it hashes to the key.
    let name = lock["id"].as_str().filter(|name| {
        let hashed = || LockId::from(*name).to_key();
        key.is_none_or(|key| read_key(key) == Some(hashed()))
    });
    let id = key.and_then(|key| name.map(LockId::from).or_else(|| read_key(key)));
    let text = |field: &str| lock[field].as_str().unwrap_or("?").to_owned();
    Some(Entry {
        name: name.or(key)?.to_owned(),
        id,
        from: NamedBy::Catalog,
        permits: lock["permits"]
            .as_u64()
            .and_then(|permits| permits.try_into().ok()),
        taken: Some(Taken {
            catalog: catalog.to_owned(),
            place: format!("{}:{}", text("file"), lock["line"]),
            function: text("function"),
            how: how(lock),
        }),
    })
}

fn how(lock: &Value) -> String {
    let attribute = lock["attribute"].as_str().unwrap_or_default();
    let mut how = vec![attribute.to_owned()];
    let timeout = lock["timeout_seconds"].as_f64();
    let timeout = timeout.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
    how.extend(timeout.map(|timeout| match timeout {
        std::time::Duration::ZERO => "tries once".to_owned(),
        timeout => format!("timeout {}", text::chosen(timeout)),
    }));
    how.extend(lock["side_effect"].as_str().map(str::to_owned));
    if lock["shared"] == true {
        how.push("shared".to_owned());
    }
    if lock["scope"] == "transaction" {
        how.push("xact".to_owned());
    }
    let period = lock["once_in_seconds"].as_f64();
    let period = period.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
    how.extend(period.map(|period| format!("once in {}", text::chosen(period))));
    if lock["fenced"] == true {
        how.push("fenced".to_owned());
    }
    if lock["all"] == true {
        how.push("with others".to_owned());
    }
    how.extend(
        lock["permits"]
            .as_u64()
            .map(|permits| format!("{permits} permits")),
    );
    how.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(lock: &str) -> Option<Entry> {
        let text = format!(r#"{{"schema": "pglock/catalog/1", "locks": [{lock}]}}"#);
        let mut entries = parse(&text, "locks.json").unwrap();
        assert!(entries.len() < 2);
        entries.pop()
    }

    #[test]
    fn what_a_program_says_is_read() {
        let entry = only(
            r#"{"attribute": "advisory", "id": "nightly-report", "key": "-8663603374018903193", "function": "app::report",
                "file": "src/jobs.rs", "line": 14, "timeout_seconds": 30.0, "side_effect": "Skip", "shared": true, "scope": "session"}"#,
        )
        .unwrap();
        assert_eq!(entry.id, Some("nightly-report".into()));
        assert_eq!(
            entry.taken.unwrap().to_string(),
            "src/jobs.rs:14: app::report: advisory, timeout 30 s, Skip, shared (locks.json)"
        );
        let ruled = only(
            r#"{"attribute": "advisory", "id": "digest", "key": null, "timeout_seconds": 0.0, "once_in_seconds": 3300.0,
                "fenced": true, "all": true}"#,
        );
        assert_eq!(
            ruled.unwrap().taken.unwrap().how,
            "advisory, tries once, once in 55 min, fenced, with others"
        );
        let number = only(r#"{"attribute": "advisory", "id": null, "key": "1,-2"}"#).unwrap();
        assert_eq!(
            (number.name.as_str(), number.id),
            ("1,-2", Some((1, -2).into()))
        );
        let template =
            only(r#"{"attribute": "advisory", "id": "bill-{of}", "key": null}"#).unwrap();
        assert_eq!((template.name.as_str(), template.id), ("bill-{of}", None));
    }

    #[test]
    fn a_name_that_does_not_hash_to_its_key_is_not_believed() {
        let lied = only(r#"{"attribute": "advisory", "id": "harmless", "key": "42"}"#).unwrap();
        assert_eq!((lied.name.as_str(), lied.id), ("42", Some(42_i64.into())));
    }

    #[test]
    fn what_is_no_lock_of_a_name_is_left_out() {
        assert!(only(r#"{"attribute": "prioritize", "id": null, "key": null}"#).is_none());
        assert!(only(r#"{"attribute": "advisory", "id": null, "key": null}"#).is_none());
    }

    #[test]
    fn other_files_are_no_catalogs() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"schema": "pglock/catalog/2", "locks": []}"#,
        ] {
            assert!(parse(text, "x").is_none(), "{text}");
        }
    }
}
