//! Limits: their permits, who is first in line, and what is not advised.

use std::collections::HashSet;

use pglock::{Database, Guard};
use pglock_tests::{BOUND, Background, TestDb, background, database, pid_of, wait_until};
use serde_json::Value;

use super::parsed;
use crate::{on, said};

fn worker(db: &TestDb, number: usize) -> Database {
    let named = Database::builder(db.url()).application_name(format!("worker-{number}"));
    named.build().unwrap()
}

/// A limit of two, with as many who wait.
struct Full {
    db: TestDb,
    permits: Vec<Guard>,
    waiters: Vec<Background<Guard>>,
}

impl Full {
    fn with_waiters(count: usize) -> Self {
        let db = database();
        let permit = |number| pglock::limit(2, "sms").using(worker(&db, number)).acquire();
        let mut permits = vec![permit(1).unwrap(), permit(2).unwrap()];
        permits.sort_by_key(Guard::slot);
        let line = pglock::advisory_id("sms");
        let mut waiters = Vec::new();
        for number in 0..count {
            let there = worker(&db, 3 + number);
            waiters.push(background("it gets a permit", move || {
                pglock::limit(2, "sms").using(&there).acquire().unwrap()
            }));
            wait_until("it stands in line", BOUND, || {
                db.held(line) == 1 && db.waiting(line) == number
            });
        }
        let mut client = db.connect();
        wait_until(
            "their sessions say the names of both permits",
            BOUND,
            || {
                let locks = pglock::locks().fetch(&mut client).unwrap();
                let names = locks.iter().filter(|lock| lock.granted);
                let names: HashSet<_> = names
                    .filter_map(|lock| lock.advisory_name.as_ref())
                    .collect();
                names.iter().filter(|name| name.contains("(slot ")).count() == 2
            },
        );
        Self {
            db,
            permits,
            waiters,
        }
    }

    fn holders(&self) -> Vec<i32> {
        let pid = |permit: &Guard| permit.backend_pid().unwrap();
        self.permits.iter().map(pid).collect()
    }

    fn pid_of_worker(&self, number: usize) -> i32 {
        let line = pglock_tests::Key::from(pglock::advisory_id("sms"));
        let locks = self.db.advisory_locks().into_iter();
        let mut of_line = locks.filter(|lock| lock.key == line);
        of_line
            .find(|lock| lock.granted == (number == 3))
            .unwrap()
            .pid
    }

    /// The database ends with it.
    fn end(self) -> TestDb {
        drop(self.permits);
        for waiter in self.waiters {
            drop(waiter.finish(BOUND));
        }
        self.db
    }
}

#[test]
fn who_has_the_permits_of_a_limit_is_not_who_waits_for_one() {
    let full = Full::with_waiters(2);
    let (first, behind) = (full.pid_of_worker(3), full.pid_of_worker(4));
    let who = on(&full.db, &["who", "sms"]);
    let mut lines = who.out.lines();
    let title = "limit \"sms\" (key ";
    let ends = ") of 2 permits, 2 taken";
    let head = lines.next().unwrap();
    assert!(head.starts_with(title) && head.ends_with(ends), "{who:?}");
    for (begins, pid) in [
        ("slot 0", full.holders()[0]),
        ("slot 1", full.holders()[1]),
        ("first", first),
        ("waits 1", behind),
    ] {
        let line = lines.next().unwrap();
        let of_it = line.strip_prefix(begins).unwrap_or_default().trim_start();
        assert!(of_it.starts_with(&pid.to_string()), "{begins}: {who:?}");
    }
    assert_eq!((who.code, lines.next()), (0, None));
    let json = parsed(&on(&full.db, &["who", "sms", "--json"]).out);
    let pids = |of: &str| -> Vec<i64> {
        let sessions = json["locks"][0][of].as_array().unwrap().iter();
        let pids = sessions.map(|session| session["activity"]["pid"].as_i64().unwrap());
        pids.collect()
    };
    assert_eq!(
        pids("holders"),
        full.holders()
            .into_iter()
            .map(i64::from)
            .collect::<Vec<_>>()
    );
    assert_eq!(pids("waiters"), [i64::from(first), i64::from(behind)]);
    assert_eq!(json["locks"][0]["holders"][1]["slot"], 1);
    let limit = &json["locks"][0]["limit"];
    assert_eq!(
        (&limit["permits"], &limit["first_in_line"]),
        (&2.into(), &first.into())
    );
    full.end();
}

#[test]
fn a_limit_is_not_free_while_somebody_has_a_permit() {
    let mut full = Full::with_waiters(0);
    let who = on(&full.db, &["who", "sms"]);
    assert!(who.code == 0 && who.out.contains("2 taken"), "{who:?}");
    full.permits.pop().unwrap().release().unwrap();
    let who = on(&full.db, &["who", "sms"]);
    assert!(who.code == 0 && who.out.contains("1 taken"), "{who:?}");
    full.permits.clear();
    full.db.wait_for_no_locks();
    let who = on(&full.db, &["who", "sms"]);
    assert!(who.code == 1 && who.out.contains("is free"), "{who:?}");
}

#[test]
fn who_stops_a_limit_is_told_from_who_waits_for_it() {
    let mut full = Full::with_waiters(0);
    full.permits.pop().unwrap().release().unwrap();
    let mut stops = full.db.connect_as("deploy");
    let id = pglock::LockId::from("sms").to_key();
    stops
        .batch_execute(&format!("SELECT pg_advisory_lock({id})"))
        .unwrap();
    let who = on(&full.db, &["who", "sms"]);
    let line = format!("\nstops    {}  deploy", pid_of(&mut stops));
    assert!(who.out.contains(&line), "{who:?}");
    let freed = on(&full.db, &["free", "sms", "-y"]);
    assert_eq!(freed.code, 0, "{freed:?}");
    assert_eq!(full.db.held(pglock::advisory_id("sms")), 0);
    assert!(full.permits[0].check().is_ok());
    full.end();
}

#[test]
fn the_first_in_line_waits_in_the_tree_and_is_not_what_to_end() {
    let full = Full::with_waiters(1);
    let first = full.pid_of_worker(3);
    let holders = full.holders();
    let is_told = |arguments: &[&str], waiting: usize| {
        let tree = on(&full.db, arguments);
        let roots: Vec<_> = tree
            .out
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse::<i32>().ok())
            .collect();
        assert!(holders.iter().all(|pid| roots.contains(pid)), "{tree:?}");
        assert_eq!(roots.len(), 2, "{tree:?}");
        assert!(tree.out.contains(&format!("─ {first} ")), "{tree:?}");
        assert!(
            tree.out.contains("for EXCLUSIVE on \"sms (slot "),
            "{tree:?}"
        );
        let waits = if waiting == 1 {
            "1 waits, 2"
        } else {
            "2 wait, 2"
        };
        assert!(tree.err.starts_with(waits), "{tree:?}");
        let ended = tree.err.trim_end().rsplit(' ').next().unwrap().to_owned();
        assert!(holders.contains(&ended.parse().unwrap()), "{tree:?}");
    };
    is_told(&["tree"], 1);
    is_told(&["tree", "--lock", "sms"], 1);
    for pid in [first, holders[0]] {
        is_told(&["tree", &pid.to_string()], 1);
    }
    // Who waits for that in the server is below it.
    let there = worker(&full.db, 4);
    let behind = background("it gets a permit", move || {
        pglock::limit(2, "sms").using(&there).acquire().unwrap()
    });
    wait_until("it waits", BOUND, || {
        full.db.waiting(pglock::advisory_id("sms")) == 1
    });
    is_told(&["tree"], 2);
    let behind_it = full.pid_of_worker(4).to_string();
    is_told(&["tree", &behind_it], 2);
    let json = parsed(&on(&full.db, &["tree", "--json"]).out);
    assert_eq!(json["edges"].as_array().unwrap().len(), 3);
    let of_others = on(&full.db, &["tree", "--lock", "other"]);
    assert_eq!(of_others.err, "nobody waits for a lock\n");
    let Full { permits, .. } = &full;
    assert!(permits.iter().all(|permit| permit.check().is_ok()));
    let _db = full.end();
    drop(behind.finish(BOUND));
}

#[test]
fn free_hits_nobody_for_a_limit_and_says_how_to_free_a_permit() {
    let full = Full::with_waiters(1);
    let holder = full.holders()[0];
    for arguments in [&["free", "sms", "-y"][..], &["free", "sms", "-y", "--json"]] {
        let refused = on(&full.db, arguments);
        assert_eq!((refused.code, &*refused.out), (2, ""), "{refused:?}");
        let words = format!("slot 0 by {holder} \"pglock: worker-");
        assert!(refused.err.contains(&words), "{refused:?}");
        let remedy = "`pglock free \"sms (slot 0)\"`";
        assert!(refused.err.contains(remedy), "{refused:?}");
    }
    assert!(full.permits.iter().all(|permit| permit.check().is_ok()));
    assert_eq!(full.db.held(pglock::advisory_id("sms")), 1);
    let freed = on(&full.db, &["free", "sms (slot 0)", "-y"]);
    assert_eq!(freed.code, 0, "{freed:?}");
    assert!(freed.out.contains(&format!("{holder} ")), "{freed:?}");
    full.end();
}

#[test]
fn all_locks_of_a_limit_have_names() {
    let full = Full::with_waiters(0);
    let listed = on(&full.db, &["ls", "--output", "csv", "-a", "lock"]);
    let mut rows: Vec<_> = listed.out.lines().skip(1).collect();
    rows.sort_unstable();
    let record = r#""""sms (of 2)""""#;
    let permits = [r#""""sms (slot 0)""""#, r#""""sms (slot 1)""""#];
    assert_eq!(rows, [record, record, permits[0], permits[1]], "{listed:?}");
    let json = parsed(&on(&full.db, &["ls", "--json"]).out);
    let is_record = |lock: &&Value| lock["advisory"]["name"] == "sms (of 2)";
    let record = json["locks"].as_array().unwrap().iter().find(is_record);
    assert_eq!(record.unwrap()["advisory"]["named_by"], "limit");
    full.end();
}

/// Where no session says a name, the catalog of the program does.
#[test]
fn a_limit_of_a_catalog_is_known_though_no_session_says_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("locks.json");
    let entry = |line: u32, permits: u32| {
        let key = pglock::LockId::from("sms").to_key();
        format!(
            r#"{{"attribute": "limit", "id": "sms", "key": "{key}", "function": "app::send",
                "file": "src/sms.rs", "line": {line}, "timeout_seconds": 0.0, "permits": {permits}}}"#
        )
    };
    let write = |entries: &[String]| {
        let entries = entries.join(", ");
        let text = format!(r#"{{"schema": "pglock/catalog/1", "locks": [{entries}]}}"#);
        std::fs::write(&catalog, text).unwrap();
    };
    let names = || said(crate::bare().arg("names").arg("--names").arg(&catalog));
    write(&[entry(7, 2)]);
    let listed = names();
    let line = "src/sms.rs:7: app::send: limit, tries once, 2 permits";
    assert!(listed.code == 0 && listed.out.contains(line), "{listed:?}");
    let db = database();
    let mut silent = db.connect();
    let slot = pglock::LockId::permit("sms", 1).to_key();
    let pair = {
        let there = worker(&db, 1);
        let _permit = pglock::limit(2, "sms").using(&there).acquire().unwrap();
        let locks = pglock::locks().fetch(&mut silent).unwrap();
        let mut keys = locks.into_iter().filter_map(|lock| lock.advisory_key);
        keys.find(|key| key.permits_of("sms").is_some()).unwrap()
    };
    db.wait_for_no_locks();
    let take = format!("SELECT pg_advisory_lock({slot}), pg_advisory_lock_shared{pair}");
    silent.batch_execute(&take).unwrap();
    let mut listing = crate::pglock(&db);
    listing.args(["ls", "--output", "csv", "-a", "lock", "--names"]);
    let listed = said(listing.arg(&catalog));
    assert!(listed.out.contains("sms (slot 1)"), "{listed:?}");
    assert!(listed.out.contains("sms (of 2)"), "{listed:?}");
    // Two numbers for one limit.
    write(&[entry(7, 2), entry(9, 3)]);
    let listed = names();
    assert_eq!(listed.code, 1, "{listed:?}");
    let warning = "warning: limit \"sms\" has 2 permits at src/sms.rs:7 and 3 at src/sms.rs:9";
    assert!(listed.err.contains(warning), "{listed:?}");
}
