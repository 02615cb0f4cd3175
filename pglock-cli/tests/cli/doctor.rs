//! `doctor`: each check finds what it is for.

use pglock_tests::{BOUND, PgBouncer, Server, TestDb, database, server, wait_until};
use serde_json::Value;

use super::{Blocked, on, pglock, said};

/// The levels and texts of a check.
fn found(doctor: &Value, check: &str) -> Vec<(String, String)> {
    let findings = doctor["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .filter(|finding| finding["check"] == check)
        .map(|finding| (text(&finding["level"]), text(&finding["text"])))
        .collect()
}

fn doctor(url: &str) -> Value {
    let db = database();
    let told = said(
        pglock(&db)
            .args(["doctor", "--json", "--idle", "0s"])
            .env("DATABASE_URL", url),
    );
    assert!(told.code < 2, "{told:?}");
    serde_json::from_str(&told.out).unwrap()
}

fn doctor_of(db: &TestDb, options: &[&str]) -> Value {
    let told = on(db, &[&["doctor", "--json"], options].concat());
    assert!(told.code < 2, "{told:?}");
    serde_json::from_str(&told.out).unwrap()
}

fn assert_one(doctor: &Value, check: &str, level: &str, says: &str) {
    let found = found(doctor, check);
    let fits = |(of, text): &(String, String)| of == level && text.contains(says);
    assert!(
        found.iter().any(fits),
        "{check}, {level}, {says}: {found:?}"
    );
}

#[test]
fn a_healthy_server_has_no_warnings_but_for_its_age() {
    let db = database();
    let healthy = on(
        &db,
        &["doctor", "--skip", "version", "--skip", "lock-table"],
    );
    assert_eq!(healthy.code, 0, "{healthy:?}");
    assert!(
        healthy.out.contains("ok   locks ") && healthy.err.contains("no warnings"),
        "{healthy:?}"
    );
    let unknown = on(&db, &["doctor", "--skip", "nothing"]);
    assert!(
        unknown.code == 2 && unknown.err.contains("lock-table"),
        "{unknown:?}"
    );
}

#[test]
fn settings_and_prepared_transactions_are_found() {
    let server = Server::builder()
        .setting("max_prepared_transactions", "4")
        .setting("idle_session_timeout", "10min")
        .setting("statement_timeout", "5min")
        .setting("max_locks_per_transaction", "10")
        .setting("max_connections", "20")
        .setting("log_lock_waits", "off")
        .start();
    let db = server.create_database();
    let mut client = db.connect();
    client
        .batch_execute("SELECT pg_advisory_lock(n) FROM generate_series(1, 150) n")
        .unwrap();
    client
        .batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1000); PREPARE TRANSACTION 'order-17'")
        .unwrap();
    let doctor = doctor(db.url());
    assert_one(&doctor, "leaked", "warn", "which has been idle");
    assert_one(&doctor, "prepared", "warn", "ROLLBACK PREPARED 'order-17'");
    assert_one(
        &doctor,
        "timeouts",
        "warn",
        "idle_session_timeout = 10 min ",
    );
    assert_one(&doctor, "timeouts", "info", "statement_timeout = 5 min ");
    assert_one(&doctor, "lock-table", "warn", "150 of them advisory locks");
    assert_one(&doctor, "log", "info", "log_lock_waits");
}

#[test]
fn transactions_that_are_idle_with_locks_are_found() {
    let blocked = Blocked::on_orders();
    let doctor = doctor_of(&blocked.db, &[]);
    let who = format!("session {} \"report\"", blocked.holder_pid);
    assert_one(&doctor, "transactions", "warn", &who);
    let says = "on table public.orders, and 1 other waits for it";
    assert_one(&doctor, "transactions", "warn", says);
    let db = blocked.end();
    let mut idle = db.connect_as("etl");
    idle.batch_execute("BEGIN; LOCK orders").unwrap();
    let found = |idle: &str| {
        let doctor = doctor_of(&db, &["--idle", idle]);
        self::found(&doctor, "transactions").len()
    };
    // Nobody waits for it: it has a minute.
    assert_eq!(found("1h"), 0);
    assert_eq!(found("0s"), 1);
}

#[test]
fn whether_a_client_that_is_gone_is_noticed_is_that_of_other_sessions() {
    let db = database();
    let doctor = doctor_of(&db, &[]);
    assert_one(&doctor, "client-gone", "info", "interval = 0: ");
    db.execute(&format!(
        "ALTER DATABASE \"{}\" SET client_connection_check_interval = '7s'",
        db.name()
    ));
    let doctor = doctor_of(&db, &[]);
    assert_one(&doctor, "client-gone", "ok", "interval = 7 s: ");
}

#[test]
fn a_pooler_in_transaction_mode_fails() {
    let db = database();
    // Each transaction is on a session that knows nothing of those before.
    let settings = [
        ("pool_mode", "transaction"),
        ("server_reset_query_always", "1"),
    ];
    let pooler = PgBouncer::start(server(), &settings);
    let doctor = doctor(&pooler.url(db.name()));
    assert_one(&doctor, "locks", "fail", "; connect to postgres directly");
}

#[test]
fn missing_rights_are_found() {
    let db = database();
    let role = format!("{}_plain", db.name());
    db.execute(&format!("CREATE ROLE {role} LOGIN"));
    let (_, server) = db.url().split_once('@').unwrap();
    let doctor = doctor(&format!("postgres://{role}@{server}"));
    assert_one(&doctor, "rights", "info", "GRANT pg_signal_backend");
    db.execute(&format!("DROP ROLE {role}"));
}

#[test]
fn standbys_are_told_of_and_take_no_locks() {
    let server = Server::start();
    let db = server.create_database();
    let alone = doctor_of(&db, &[]);
    assert_eq!(found(&alone, "failover"), []);
    let standby = server.standby();
    let mut client = db.connect();
    wait_until("the standby follows", BOUND, || {
        let standbys = "SELECT count(*) FROM pg_stat_replication";
        client.query_one(standbys, &[]).unwrap().get::<_, i64>(0) > 0
    });
    let followed = doctor_of(&db, &[]);
    assert_one(&followed, "failover", "info", "a failover frees all locks");
    // The database has to have come there.
    let url = standby.url(db.name());
    wait_until("the database is there", BOUND, || {
        postgres::Client::connect(&url, postgres::NoTls).is_ok()
    });
    let there = doctor(&url);
    assert_one(&there, "locks", "fail", "standby");
    assert!(
        there["server"].as_str().unwrap().contains("standby"),
        "{there}"
    );
}

#[test]
fn names_that_exclude_each_other_are_found() {
    let db = database();
    let folder = tempfile::tempdir().unwrap();
    let catalog = r#"{"schema": "pglock/catalog/1", "program": "app", "locks": [
        {"attribute": "advisory", "id": "72707369", "key": "72707369", "function": "app::import", "file": "src/jobs.rs", "line": 3,
         "timeout_seconds": null, "side_effect": null, "shared": false, "scope": "session"}]}"#;
    let path = folder.path().join("locks.json");
    std::fs::write(&path, catalog).unwrap();
    let told = said(pglock(&db).args(["doctor", "--json", "--names"]).arg(&path));
    assert_eq!(told.code, 1, "{told:?}");
    let doctor: Value = serde_json::from_str(&told.out).unwrap();
    let says = "\"Prisma Migrate\" and \"72707369\" have the same key";
    assert_one(&doctor, "names", "warn", says);
}
