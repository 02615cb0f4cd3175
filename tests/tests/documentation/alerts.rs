//! The alert rules of the runbook and the queries of the dashboard, as Prometheus reads them: with its `promtool`, which
//! `./dev` fetches where it can. Elsewhere only the names in them are looked up, in `pages.rs`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The runbook's rules, in a folder of their own.
fn rules() -> (tempfile::TempDir, PathBuf) {
    let runbook = page("docs/guide/runbook.md");
    let (_, rules) = runbook.split_once("```yaml\n").unwrap();
    let (rules, _) = rules.split_once("```").unwrap();
    written("rules.yml", rules)
}

fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn page(file: &str) -> String {
    fs::read_to_string(super::root().join(file)).unwrap()
}

/// Nothing where there is none.
#[track_caller]
fn promtool(what: &str, path: &Path) {
    let mut command = Command::new("promtool");
    match command.args([what, "rules"]).arg(path).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("not tested: there is no promtool, which the package prometheus has");
        }
        Err(error) => panic!("promtool: {error}"),
        Ok(ran) => {
            let said = [ran.stdout, ran.stderr].concat();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&said));
        }
    }
}

#[test]
fn alerts_come_when_they_are_to_and_go_again() {
    let (folder, rules) = rules();
    promtool("check", &rules);
    let tests = folder.path().join("alerts.yml");
    fs::write(&tests, include_str!("alerts.yml")).unwrap();
    promtool("test", &tests);
}

#[test]
fn the_dashboards_queries_can_be_read() {
    let dashboard: Value = serde_json::from_str(&page("docs/grafana/pglock.json")).unwrap();
    let mut queries = Vec::new();
    collect(&dashboard, &mut queries);
    assert!(queries.len() >= 8, "{queries:?}");
    // As rules, with what Grafana puts in the place of its variables.
    let rules = (1..).zip(&queries).map(|(number, query)| {
        let query = query
            .replace("$__rate_interval", "5m")
            .replace("$lock", ".*");
        assert!(!query.contains('$'), "{query}");
        let query = Value::String(query);
        format!("  - record: query_{number}\n    expr: {query}\n")
    });
    let rules: String = rules.collect();
    let rules = format!("groups:\n- name: dashboard\n  rules:\n{rules}");
    let (_folder, rules) = written("queries.yml", &rules);
    promtool("check", &rules);
}

/// The values of all `expr`.
fn collect<'v>(value: &'v Value, into: &mut Vec<&'v str>) {
    match value {
        Value::Object(fields) => {
            into.extend(fields.get("expr").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, into));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
        _ => {}
    }
}
