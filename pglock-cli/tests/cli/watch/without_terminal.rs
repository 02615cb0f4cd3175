//! A log: the tree, or a document, at each look.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStdout, Stdio};

use pglock_tests::{BOUND, TestDb, wait_until};
use serde_json::Value;

use super::super::{Blocked, pglock};

/// `watch` into a pipe; its lines, as far as they are asked for.
struct Piped {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
}

impl Piped {
    fn watch(db: &TestDb, options: &[&str]) -> Self {
        let mut command = pglock(db);
        command.args(["watch", "-n", "0.5"]).args(options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            lines: Some(lines),
        }
    }

    fn line(&mut self) -> String {
        self.lines.as_mut().unwrap().next().unwrap().unwrap()
    }
}

#[test]
fn without_a_terminal_the_tree_is_written_at_each_look() {
    let blocked = Blocked::on_orders();
    let mut piped = Piped::watch(&blocked.db, &[]);
    for _ in 0..2 {
        let head = piped.line();
        let time = head.split("  ").next().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{head}");
        assert!(
            head.contains("1 waits, 1 is at the root. To end it:  pglock terminate"),
            "{head}"
        );
        assert!(piped.line().contains("report"));
        assert!(piped.line().contains("SELECT pg_backend_pid()"));
        assert!(piped.line().contains("└─"));
        assert!(piped.line().contains("ALTER TABLE orders ADD note text"));
    }
    // Who reads has gone away, which is no failure.
    piped.lines = None;
    let mut status = None;
    wait_until("it ends", BOUND, || {
        status = piped.child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().code(), Some(0));
    blocked.end();
}

#[test]
fn json_is_a_document_in_each_line() {
    let blocked = Blocked::on_orders();
    let mut piped = Piped::watch(&blocked.db, &["--json"]);
    for _ in 0..2 {
        let document: Value = serde_json::from_str(&piped.line()).unwrap();
        assert_eq!(document["schema"], "pglock/graph/1");
        assert_eq!(document["edges"].as_array().unwrap().len(), 1);
        let time = document["server"]["time"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{time}");
    }
    piped.child.kill().unwrap();
    piped.child.wait().unwrap();
    blocked.end();
}
