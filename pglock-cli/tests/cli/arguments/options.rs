//! Options that no other test has, and many locks.

use pglock_tests::{Server, TestDb, Waiter, database, pid_of};
use serde_json::Value;

use crate::{Blocked, on, pglock, said};

/// A role, which is one of the whole server: it goes also where a test fails.
struct Role<'d> {
    db: &'d TestDb,
    name: String,
}

impl<'d> Role<'d> {
    fn create(db: &'d TestDb) -> Self {
        let name = format!("{}_plain", db.name());
        db.execute(&format!("CREATE ROLE {name} LOGIN"));
        Self { db, name }
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        // A panic here would hide why the test fails.
        if let Ok(mut client) = postgres::Client::connect(self.db.url(), postgres::NoTls) {
            let _ = client.batch_execute(&format!("DROP ROLE {}", self.name));
        }
    }
}

#[test]
fn rows_are_those_of_a_role() {
    let db = database();
    let role = Role::create(&db);
    let role = &role.name;
    let (_, server) = db.url().split_once('@').unwrap();
    let url = format!("postgres://{role}@{server}");
    let mut plain = postgres::Client::connect(&url, postgres::NoTls).unwrap();
    plain.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let mut other = db.connect();
    other.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    let listed = on(
        &db,
        &["ls", "--user", role, "--output", "csv", "-a", "lock"],
    );
    assert_eq!(listed.out, "lock\nadvisory 1\n", "{listed:?}");
}

#[test]
fn a_flag_of_a_configuration_can_be_switched_off() {
    let blocked = Blocked::on_orders();
    let folder = tempfile::tempdir().unwrap();
    let config = "[configs.who]\nblocking = true\n";
    std::fs::write(folder.path().join("pglock.toml"), config).unwrap();
    let schema = |more: &[&str]| {
        let mut listing = pglock(&blocked.db);
        listing.args(["ls", "-c", "who", "--json"]).args(more);
        let listed = said(listing.current_dir(folder.path()));
        let json: Value = serde_json::from_str(&listed.out).unwrap();
        json["schema"].as_str().unwrap().to_owned()
    };
    assert_eq!(schema(&[]), "pglock/blocked/1");
    assert_eq!(schema(&["--no-blocking"]), "pglock/locks/1");
    blocked.end();
}

#[test]
fn trees_are_those_of_a_lock() {
    let blocked = Blocked::on_orders();
    let mut holder = blocked.db.connect_as("worker-1");
    holder.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    let waiter = Waiter::of(
        &blocked.db,
        blocked.db.connect_as("worker-2"),
        "SELECT pg_advisory_lock(42)",
    );
    let tree = on(&blocked.db, &["tree", "--lock", "42"]);
    let is_its = tree.out.contains("worker-1") && tree.out.contains("worker-2");
    assert!(is_its && !tree.out.contains("report"), "{tree:?}");
    let none = on(&blocked.db, &["tree", "--lock", "43"]);
    assert_eq!(none.err, "nobody waits for a lock\n");
    drop(holder);
    waiter.finish();
    blocked.end();
}

/// It waits for each statement that is older, also for one that waits; the server sees no ring in that.
#[test]
fn a_wait_that_keeps_an_index_from_being_made_is_told_of() {
    let db = database();
    db.execute("CREATE TABLE orders (id int)");
    let mut holder = db.connect_as("worker-1");
    holder.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    let job = Waiter::of(
        &db,
        db.connect_as("worker-2"),
        "SELECT pg_advisory_lock(42)",
    );
    let index = Waiter::of(
        &db,
        db.connect_as("migration"),
        "CREATE INDEX CONCURRENTLY ON orders (id)",
    );
    let tree = on(&db, &["tree"]);
    let told = format!(
        "{} waits for all older statements, as what is done CONCURRENTLY does, and that of {job} waits for advisory 42. To end that wait:  pglock cancel {job}\n",
        index.pid,
        job = job.pid
    );
    assert!(tree.err.ends_with(&told), "{tree:?}");
    drop(holder);
    job.finish();
    index.finish();
}

#[test]
fn what_is_quiet_says_errors_only() {
    let db = database();
    let quiet = on(&db, &["guard", "--terminate", "-q", "--", "true"]);
    assert_eq!((quiet.code, &*quiet.err), (0, ""), "{quiet:?}");
    let mut holder = db.connect();
    holder.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    // Longer than it takes until it is said whom it waits for.
    let waited = on(&db, &["run", "42", "-q", "-w", "2500ms", "--", "true"]);
    assert_eq!(waited.code, 75, "{waited:?}");
    assert_eq!(waited.err.lines().count(), 1, "{waited:?}");
}

#[test]
fn free_waits_until_others_have_it() {
    let db = database();
    let mut holder = db.connect();
    holder.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    let mut other = db.connect();
    let pid = pid_of(&mut other);
    let waiter = Waiter::of(&db, other, "SELECT pg_advisory_lock(42)");
    let told = on(&db, &["free", "42", "-y", "--wait", "10s"]);
    assert_eq!(told.code, 0, "{told:?}");
    let next = format!("\n{pid} ");
    assert!(
        told.out.contains(&next) || told.out.contains("is free in"),
        "{told:?}"
    );
    waiter.finish();
}

#[test]
fn rows_of_columns_are_those_of_listings() {
    let db = database();
    for (arguments, code) in [
        (&["who", "42", "--output", "csv"][..], 2),
        (&["tree", "--output", "expanded"], 2),
        (&["run", "--output", "csv", "job", "--", "true"], 125),
    ] {
        let told = on(&db, arguments);
        assert!(
            told.code == code && told.err.contains("is for `ls` and `blocked`"),
            "{told:?}"
        );
    }
}

#[test]
fn ten_thousand_locks_are_listed() {
    let server = Server::builder()
        .setting("max_locks_per_transaction", "256")
        .start();
    let db = server.create_database();
    let mut holder = db.connect();
    holder
        .batch_execute("SELECT pg_advisory_lock(n) FROM generate_series(1, 10000) n")
        .unwrap();
    // Its own time: how long it takes depends on what else the machine does.
    let script = "\"$0\" ls -l 0 --json && times >&2";
    let mut all = std::process::Command::new("sh");
    all.args(["-c", script, env!("CARGO_BIN_EXE_pglock")]);
    let all = said(all.env("DATABASE_URL", db.url()));
    let json: Value = serde_json::from_str(&all.out).unwrap();
    assert_eq!(json["locks"].as_array().unwrap().len(), 10_000);
    // Of the shell, and of what it has run: as 0m1.15s for programs, then for the system.
    let times = all.err.lines().last().unwrap();
    let took = times.split(['m', 's', ' ']).collect::<Vec<_>>();
    assert_eq!(took[0], "0", "{times}");
    let took: f64 = took[1].parse().unwrap();
    assert!(took < 10.0, "{times}");
    let first = on(&db, &["ls"]);
    assert!(first.err.contains("25 of 10000 (-l 25)"), "{}", first.err);
    let told = on(&db, &["terminate", "--held", "--dry-run"]);
    assert!(told.code == 0 && told.err.lines().count() == 3, "{told:?}");
}

#[test]
fn who_blocks_and_waits_is_not_taken_for_the_root() {
    let blocked = Blocked::on_orders();
    let root = on(&blocked.db, &["blocked"]);
    assert!(root.out.contains("IDLE_IN_TRANSACTION"), "{root:?}");
    assert_eq!(root.err, "", "{root:?}");
    let queued = Waiter::of(
        &blocked.db,
        blocked.db.connect_as("web"),
        "SELECT * FROM orders",
    );
    let both = on(&blocked.db, &["blocked"]);
    let of_web = both.out.lines().find(|line| line.contains(" web "));
    assert!(
        of_web.is_some_and(|line| line.contains("WAITS_TOO ")),
        "{both:?}"
    );
    assert_eq!(both.err, "who WAITS_TOO is not at the root: pglock tree\n");
    let of_columns = [
        "blocked",
        "--app",
        "web",
        "-a",
        "blocking_activity__does",
        "--output",
        "csv",
    ];
    let csv = on(&blocked.db, &of_columns);
    assert!(csv.out.contains("\nWAITS_TOO "), "{csv:?}");
    let _db = blocked.end();
    queued.finish();
}

/// Each in a queue has all before it in its way: there are more rows than anybody reads.
#[test]
fn who_waits_in_a_long_queue_is_not_counted_to_the_end() {
    let server = Server::builder().setting("max_connections", "80").start();
    let db = server.create_database();
    let mut holder = db.connect();
    holder.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let waiters: Vec<_> = (0..50)
        .map(|_| Waiter::of(&db, db.connect(), "SELECT pg_advisory_lock(1)"))
        .collect();
    let first = on(&db, &["blocked"]);
    assert!(first.err.starts_with("25 of more than 1000"), "{first:?}");
    let json = |arguments: &[&str]| {
        let listed = on(&db, arguments);
        serde_json::from_str::<Value>(&listed.out).unwrap()
    };
    let first = json(&["blocked", "--json"]);
    assert_eq!(first["left_out"]["uncounted"], true);
    assert_eq!(first["left_out"]["limit"], 975);
    let all = json(&["blocked", "--json", "-l", "0"]);
    assert_eq!(all["left_out"]["uncounted"], false);
    // Of a queue of 50: 1 + 2 + .. + 50.
    assert_eq!(all["locks"].as_array().unwrap().len(), 1_275);
    let by_name = json(&["blocked", "--lock", "1", "--json"]);
    assert_eq!(by_name["left_out"], first["left_out"]);
    let mut by_pid = vec!["blocked".to_owned(), "--json".to_owned()];
    by_pid.extend(waiters.iter().map(|waiter| waiter.pid.to_string()));
    let by_pid: Vec<_> = by_pid.iter().map(String::as_str).collect();
    let by_pid = json(&by_pid);
    assert_eq!(by_pid["locks"].as_array().unwrap().len(), 1_000);
    assert_eq!(by_pid["left_out"]["uncounted"], true);
    // One that comes after all of those in the answer.
    let mut other = db.connect();
    other.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    let last = Waiter::of(&db, db.connect(), "SELECT pg_advisory_lock(2)");
    let found = json(&["blocked", "--lock", "2", "--json"]);
    assert_eq!(found["locks"][0]["activity"]["pid"], last.pid);
    assert_eq!(found["left_out"]["uncounted"], false);
    drop((holder, other));
    last.finish();
    for waiter in waiters {
        waiter.finish();
    }
}
