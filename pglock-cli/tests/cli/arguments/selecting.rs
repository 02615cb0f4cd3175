//! The options that choose locks and sessions, of each command that has them.

use std::collections::BTreeSet;
use std::process::Stdio;

use pglock_tests::TestDb;
use serde_json::Value;

use crate::{Blocked, on, pglock, said};

/// A table's holder and who waits for it, and a worker with a named lock.
struct Scene {
    blocked: Blocked,
    _worker: postgres::Client,
}

impl Scene {
    fn new() -> Self {
        let blocked = Blocked::on_orders();
        let mut worker = blocked.db.connect_as("worker-1");
        worker
            .batch_execute("SELECT pg_advisory_lock(-8663603374018903193)")
            .unwrap();
        Self {
            blocked,
            _worker: worker,
        }
    }

    fn db(&self) -> &TestDb {
        &self.blocked.db
    }
}

/// What each option leaves, by the names of the applications.
fn selections(scene: &Scene) -> Vec<(Vec<String>, &'static [&'static str])> {
    let pid = scene.blocked.waiter.pid.to_string();
    let user = scene.db().url().parse::<tokio_postgres::Config>().unwrap();
    let user = user.get_user().unwrap().to_owned();
    let all: &[&str] = &["migration", "report", "worker-1"];
    let held: &[&str] = &["report", "worker-1"];
    let on_table: &[&str] = &["migration", "report"];
    let is = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![
        (is(&[&pid]), &["migration"]),
        (
            is(&["-f", "activity__application_name=report"]),
            &["report"],
        ),
        (is(&["--filter", "kind=ADVISORY"]), &["worker-1"]),
        (is(&["-x", "kind=ADVISORY", "--waiting"]), &["migration"]),
        (is(&["--exclude", "kind=RELATION", "--held"]), &["worker-1"]),
        (is(&["-o", "orders"]), on_table),
        (is(&["--on", "orders", "--held"]), &["report"]),
        (is(&["--lock", "nightly-report"]), &["worker-1"]),
        (is(&["--lock", "other"]), &[]),
        (is(&["--user", &user]), all),
        (is(&["--user", "nobody"]), &[]),
        (is(&["--app", "report"]), &["report"]),
        (is(&["--waiting"]), &["migration"]),
        (is(&["--held"]), held),
        (is(&["--min-wait", "0s"]), &["migration"]),
        (is(&["--min-wait", "1h"]), &[]),
    ]
}

fn names<'j>(sessions: impl Iterator<Item = &'j Value>) -> BTreeSet<String> {
    let name = |session: &Value| session["application_name"].as_str().map(str::to_owned);
    sessions.filter_map(name).collect()
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn whom_ls_lists_cancel_and_terminate_would_hit() {
    let scene = Scene::new();
    for (options, expected) in selections(&scene) {
        let expected: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        let listed = on(scene.db(), &[&["ls", "--json"], &*options].concat());
        let json = parsed(&listed.out);
        let locks = json["locks"].as_array().unwrap().iter();
        let listed = names(locks.map(|lock| &lock["activity"]));
        assert_eq!(listed, expected, "ls {options:?}");
        // Who does nothing is not canceled, and told of all the same.
        for verb in ["cancel", "terminate"] {
            let dry = [verb, "--json", "--dry-run"];
            let shown = on(scene.db(), &[&dry, &*options].concat());
            let json = parsed(&shown.out);
            let sessions = names(json["sessions"].as_array().unwrap().iter());
            assert_eq!(sessions, expected, "{verb} {options:?}: {shown:?}");
        }
    }
}

#[test]
fn who_blocks_is_found_by_the_options_too() {
    let scene = Scene::new();
    let db = scene.db();
    for (options, is_found) in [
        (&["-o", "orders"][..], true),
        (&["--waiting"], true),
        (&["--user", "nobody"], false),
        (&["--lock", "nightly-report"], false),
        (&["-f", "blocking_activity__application_name=report"], true),
        (&["-x", "blocking_activity__application_name=report"], false),
    ] {
        let expected: &[&str] = if is_found { &["report"] } else { &[] };
        let expected: BTreeSet<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        let listed = on(db, &[&["blocked", "--json"], options].concat());
        let json = parsed(&listed.out);
        let locks = json["locks"].as_array().unwrap().iter();
        let blockers = names(locks.map(|lock| &lock["blocking_activity"]));
        assert_eq!(blockers, expected, "blocked {options:?}");
        for verb in ["cancel", "terminate"] {
            let dry = [verb, "--blocking", "--json", "--dry-run"];
            let json = parsed(&on(db, &[&dry, options].concat()).out);
            let sessions = names(json["sessions"].as_array().unwrap().iter());
            assert_eq!(sessions, expected, "{verb} {options:?}");
        }
    }
    scene.blocked.end();
}

#[test]
fn watch_shows_the_trees_that_these_are_in() {
    let scene = Scene::new();
    for (options, expected) in selections(&scene) {
        // Each has a lock on its own transaction, which `ls` leaves out.
        let is_held = options.iter().any(|option| option == "--held");
        let is_in_tree = is_held || expected.iter().any(|name| *name != "worker-1");
        let mut watch = pglock(scene.db());
        watch.args(["top", "--json", "-n", "1h"]).args(&options);
        let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(watch.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        watch.kill().unwrap();
        watch.wait().unwrap();
        let json = parsed(&line);
        let sessions = json["sessions"].as_array().unwrap().len();
        assert_eq!(
            sessions,
            if is_in_tree { 2 } else { 0 },
            "{options:?}: {line}"
        );
    }
    scene.blocked.end();
}

/// For what a configuration says, each flag has its opposite.
#[test]
fn flags_of_a_configuration_are_switched_off_in_both_listings() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let config = "[configs.all]\nfilters = [\"activity__application_name=report\"]\nblocking = true\nexpanded = true\n\
                  [configs.end]\nfilters = [\"activity__application_name=report\"]\nterminate = true\nyes = true\n\
                  [configs.cancel]\nfilters = [\"activity__application_name=report\"]\ncancel = true\nyes = true\n";
    std::fs::write(folder.path().join("pglock.toml"), config).unwrap();
    let list = |arguments: &[&str]| {
        let mut listing = pglock(scene.db());
        said(listing.args(arguments).current_dir(folder.path()))
    };
    for listing in ["ls", "blocked"] {
        let expanded = list(&[listing, "-c", "all", "--no-blocking", "-a", "lock"]);
        let no_table = list(&[listing, "-c", "all", "--no-blocking", "--no-expanded"]);
        if listing == "ls" {
            assert!(expanded.out.starts_with("─ 1 "), "{expanded:?}");
            assert!(no_table.out.starts_with("LOCK "), "{no_table:?}");
        }
        for off in [
            ["-c", "end", "--no-terminate"],
            ["--config", "cancel", "--no-cancel"],
        ] {
            let told = list(&[&[listing], &off[..]].concat());
            assert!(
                told.code == 0 && !told.out.contains("terminated"),
                "{told:?}"
            );
        }
    }
    let held = list(&["ls", "--app", "report"]);
    assert!(held.out.contains("report"), "it was hit: {held:?}");
    // Without that it is.
    let told = list(&["ls", "-c", "end"]);
    assert!(told.out.ends_with(": terminated\n"), "{told:?}");
    let Scene { blocked, .. } = scene;
    blocked.waiter.finish();
}

#[test]
fn both_listings_act_on_whom_they_show() {
    for (listing, options) in [
        ("ls", &["--terminate", "--yes", "--app", "report"][..]),
        ("blocked", &["--terminate", "-y", "--app", "migration"]),
        (
            "blocked",
            &[
                "--blocking",
                "-A",
                "--terminate",
                "-y",
                "--app",
                "migration",
            ],
        ),
    ] {
        let blocked = Blocked::on_orders();
        let told = on(&blocked.db, &[&[listing], options].concat());
        assert_eq!(told.code, 0, "{told:?}");
        assert!(
            told.out.contains("\"report\"") && told.out.ends_with(": terminated\n"),
            "{told:?}"
        );
        blocked.waiter.finish();
    }
    let blocked = Blocked::on_orders();
    // Who blocks has nothing to cancel.
    let idle = on(
        &blocked.db,
        &["blocked", "--cancel", "-y", "--app", "migration"],
    );
    assert!(
        idle.code == 1 && idle.out.contains("pglock terminate"),
        "{idle:?}"
    );
    let told = on(&blocked.db, &["ls", "--cancel", "-y", "--app", "migration"]);
    assert_eq!(told.code, 0, "{told:?}");
    blocked.waiter.was_canceled();
}

#[test]
fn fields_are_listed_without_a_server() {
    for listing in ["ls", "blocked"] {
        let fields = said(crate::bare().args([listing, "--fields"]));
        assert_eq!((fields.code, &*fields.err), (0, ""), "{fields:?}");
        for word in [
            "wait_duration",
            "ACCESS_EXCLUSIVE",
            "startswith",
            "blocking_activity__",
        ] {
            assert!(fields.out.contains(word), "{}", fields.out);
        }
    }
}

/// With pids, and in a file, there can be another one.
#[test]
fn a_configuration_can_be_of_a_database() {
    let scene = Scene::new();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "database = \"postgres://127.0.0.1:1/none\"\n[databases]\nhere = \"{}\"\n[configs.here]\ndatabase = \"here\"\nfilters = [\"kind=ADVISORY\"]\n",
        scene.db().url()
    );
    std::fs::write(folder.path().join("pglock.toml"), config).unwrap();
    let list = |arguments: &[&str]| said(crate::bare().args(arguments).current_dir(folder.path()));
    let listed = list(&["ls", "-c", "here", "-a", "lock", "--output", "csv"]);
    assert_eq!(
        listed.out, "lock\nadvisory -8663603374018903193\n",
        "{listed:?}"
    );
    // Sessions are hit there, too.
    let hit = list(&["ls", "-c", "here", "--terminate", "-y"]);
    assert!(hit.code == 0 && hit.out.contains("\"worker-1\""), "{hit:?}");
    assert_eq!(list(&["ls"]).code, 2);
    scene.blocked.end();
}
