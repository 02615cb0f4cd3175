//! `cancel`, `terminate`, `free`.

use pglock_tests::{BOUND, Server, TestDb, Waiter, database, pid_of, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::terminal::{self, Terminal};
use super::{Blocked, on, pglock, said};

#[test]
fn what_is_shown_is_terminated() {
    let blocked = Blocked::on_orders();
    let pid = blocked.holder_pid.to_string();
    let told = on(&blocked.db, &["terminate", &pid, "-y"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.err.contains("In database") && told.err.contains("1 other waits for it"),
        "{}",
        told.err
    );
    assert!(
        told.out.starts_with(&format!("{pid} \"report\" of user "))
            && told.out.ends_with(": terminated\n"),
        "{}",
        told.out
    );
    blocked.waiter.finish();
}

#[test]
fn a_dry_run_and_no_answer_do_nothing() {
    let blocked = Blocked::on_orders();
    let pid = blocked.holder_pid.to_string();
    assert_eq!(on(&blocked.db, &["terminate", &pid, "--dry-run"]).code, 0);
    let no_terminal = on(&blocked.db, &["terminate", &pid]);
    assert_eq!(no_terminal.code, 2);
    assert!(no_terminal.err.contains("pass -y"), "{}", no_terminal.err);
    blocked.end();
}

/// The code with which the command ends that was answered so.
fn answered(db: &TestDb, arguments: &[&str], question: &str, answer: &str) -> Option<i32> {
    let mut terminal = Terminal::run(terminal::pglock(db, arguments));
    terminal.wait_for(question);
    terminal.type_keys(answer);
    let code = terminal.wait_for_end().code();
    let outcome = if code == Some(0) {
        ": terminated"
    } else {
        "nothing was done"
    };
    terminal.wait_for(outcome);
    code
}

#[test]
fn only_yes_is_an_answer_that_acts() {
    let blocked = Blocked::on_orders();
    let terminate = ["terminate", &blocked.holder_pid.to_string()];
    let question = "End this session? [y/N]";
    for no in ["n\n", "\n", "yet\n", "\u{4}"] {
        let code = answered(&blocked.db, &terminate, question, no);
        assert_eq!(code, Some(1), "{no:?}");
    }
    let code = answered(&blocked.db, &terminate, question, "y\n");
    assert_eq!(code, Some(0));
    blocked.waiter.finish();
}

#[test]
fn free_asks_too() {
    let db = database();
    let mut holder = db.connect_as("worker-1");
    holder.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    let no_terminal = on(&db, &["free", "42"]);
    assert!(
        no_terminal.code == 2 && no_terminal.err.contains("pass -y"),
        "{no_terminal:?}"
    );
    let question = format!("End session {}? [y/N]", pid_of(&mut holder));
    let code = answered(&db, &["free", "42"], &question, "n\n");
    assert_eq!((code, db.held(42)), (Some(1), 1));
    let code = answered(&db, &["free", "42"], &question, "YES\n");
    assert_eq!(code, Some(0));
    wait_until("it is free", BOUND, || db.held(42) == 0);
}

#[test]
fn without_a_pid_or_a_filter_nobody_is_hit() {
    let blocked = Blocked::on_orders();
    for arguments in [
        &["terminate", "-y"][..],
        &["cancel", "-y"],
        &["--terminate", "-y"],
        &["ls", "--cancel", "-y"],
    ] {
        let told = on(&blocked.db, arguments);
        assert_eq!(told.code, 2, "{told:?}");
        assert!(told.err.contains("needs a pid or a filter"), "{}", told.err);
    }
    blocked.end();
}

#[test]
fn read_only_refuses_to_act_before_it_connects() {
    let db = database();
    for arguments in [
        &["terminate", "1", "-y"][..],
        &["cancel", "1", "-y"],
        &["free", "a", "-y"],
        &["1", "--terminate", "-y"],
    ] {
        let mut with_option = vec!["--read-only"];
        with_option.extend(arguments);
        let told = said(
            pglock(&db)
                .args(&with_option)
                .env("DATABASE_URL", "postgres://127.0.0.1:1/none"),
        );
        assert_eq!(told.code, 2);
        assert!(told.err.contains("read-only"), "{}", told.err);
        let told = said(
            pglock(&db)
                .args(arguments)
                .env("PGLOCK_READ_ONLY", "1")
                .env("DATABASE_URL", "postgres://127.0.0.1:1/none"),
        );
        assert!(told.code == 2 && told.err.contains("read-only"), "{told:?}");
    }
    let looks = said(pglock(&db).args(["ls"]).env("PGLOCK_READ_ONLY", "1"));
    assert_eq!(looks.code, 0, "{looks:?}");
}

#[test]
fn those_who_block_are_hit_by_a_filter() {
    let blocked = Blocked::on_orders();
    // As `manage.py pglock` has it.
    let told = on(
        &blocked.db,
        &[
            "-f",
            "blocking_activity__state=IDLE_IN_TRANSACTION",
            "--blocking",
            "--terminate",
            "-y",
        ],
    );
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.out.contains("\"report\"") && !told.out.contains("migration"),
        "{}",
        told.out
    );
    blocked.waiter.finish();
}

#[test]
fn a_statement_is_canceled_and_an_idle_session_is_not() {
    let blocked = Blocked::on_orders();
    let idle = on(
        &blocked.db,
        &["cancel", &blocked.holder_pid.to_string(), "-y"],
    );
    assert_eq!(idle.code, 1, "{idle:?}");
    assert!(idle.out.contains("pglock terminate"), "{}", idle.out);
    let told = on(
        &blocked.db,
        &["cancel", &blocked.waiter.pid.to_string(), "-y"],
    );
    assert_eq!(told.code, 0, "{told:?}");
    blocked.waiter.was_canceled();
}

#[test]
fn who_is_not_found_by_its_pid_is_told_of() {
    let db = database();
    let mut idle = db.connect();
    let idle = pid_of(&mut idle).to_string();
    let other = database();
    let mut elsewhere = other.connect();
    let elsewhere = pid_of(&mut elsewhere).to_string();
    for (pid, why) in [
        ("2147483647", "there is no session 2147483647"),
        (&*idle, "has no lock and waits for none"),
        (&*elsewhere, other.name()),
    ] {
        for verb in ["terminate", "cancel"] {
            let told = on(&db, &[verb, pid, "-y"]);
            assert!(told.code == 1 && told.err.contains(why), "{told:?}");
        }
    }
    let filtered = on(&db, &["terminate", &idle, "--app", "web", "-y"]);
    assert!(
        filtered.code == 1 && filtered.err.contains("has no lock that this fits"),
        "{filtered:?}"
    );
}

/// As one that runs a statement has a lock on its own transaction.
#[test]
fn who_has_only_locks_that_a_listing_leaves_out_is_left_alone() {
    let db = database();
    db.execute("CREATE TABLE orders (id int)");
    let mut waiting = db.connect_as("web");
    waiting
        .batch_execute("BEGIN; SELECT count(*) FROM pg_class")
        .unwrap();
    let pid = pid_of(&mut waiting).to_string();
    let listed = on(&db, &["ls", "--app", "web"]);
    assert_eq!(listed.out, "", "{listed:?}");
    let told = on(&db, &["terminate", "--app", "web", "-y"]);
    assert_eq!(told.code, 1, "{told:?}");
    waiting.batch_execute("SELECT 1").unwrap();
    let all = on(&db, &["terminate", "--app", "web", "-A", "--dry-run"]);
    assert!(all.code == 0 && all.err.contains(&pid), "{all:?}");
    let idle = on(&db, &["cancel", "--app", "web", "--all", "-y"]);
    assert!(idle.code == 1 && idle.out.contains(&pid), "{idle:?}");
    let named = on(&db, &["terminate", &pid, "-y"]);
    assert_eq!(named.code, 0, "{named:?}");
}

#[test]
fn a_limit_is_one_of_whom_to_hit_too() {
    let db = database();
    let mut holders: Vec<_> = (0..3).map(|_| db.connect()).collect();
    for (key, client) in holders.iter_mut().enumerate() {
        let acquire = format!("SELECT pg_advisory_lock({key})");
        client.batch_execute(&acquire).unwrap();
    }
    let told = on(&db, &["--held", "-l", "2", "--terminate", "-y"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(told.out.matches(": terminated").count(), 2, "{told:?}");
}

#[test]
fn applications_of_the_never_list_are_spared() {
    let blocked = Blocked::on_orders();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("pglock.toml"),
        "never_application = [\"report\"]",
    )
    .unwrap();
    let pid = blocked.holder_pid.to_string();
    let told = said(
        pglock(&blocked.db)
            .args(["terminate", &pid, "-y"])
            .current_dir(folder.path()),
    );
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.out.contains("never_application"), "{}", told.out);
    blocked.end();
}

/// It has locks while it looks.
#[test]
fn its_own_session_is_left_alone() {
    let db = database();
    let mut holder = db.connect_as("worker-1");
    holder.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    let told = on(&db, &["terminate", "--held", "-y"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.out.contains("\"worker-1\"") && told.out.lines().count() == 1,
        "{told:?}"
    );
}

#[test]
fn a_session_that_may_not_be_signaled_is_said_to_be_denied() {
    let blocked = Blocked::on_orders();
    let role = format!("{}_plain", blocked.db.name());
    blocked.db.execute(&format!("CREATE ROLE {role} LOGIN"));
    let (_, server) = blocked.db.url().split_once('@').unwrap();
    let url = format!("postgres://{role}@{server}");
    let pid = blocked.holder_pid.to_string();
    let told = said(
        pglock(&blocked.db)
            .args(["terminate", &pid, "-y", "--json"])
            .env("DATABASE_URL", url),
    );
    assert_eq!(told.code, 1, "{told:?}");
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(json["sessions"][0]["outcome"], "denied");
    blocked.db.execute(&format!("DROP ROLE {role}"));
    blocked.end();
}

#[test]
fn free_ends_who_holds_the_lock_and_says_who_has_it_next() {
    let db = database();
    let mut holder = db.connect_as("worker-1");
    holder
        .batch_execute("SELECT pg_advisory_lock(-8663603374018903193)")
        .unwrap();
    let waiter = Waiter::of(
        &db,
        db.connect_as("worker-2"),
        "SELECT pg_advisory_lock(-8663603374018903193)",
    );
    let told = on(&db, &["free", "nightly-report", "-y"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.err.contains("1 waits and will have it next"),
        "{}",
        told.err
    );
    assert!(
        told.out.contains("\"worker-1\"") && told.out.contains(": terminated"),
        "{}",
        told.out
    );
    let next = format!("{} \"worker-2\" has \"nightly-report\"", waiter.pid);
    let free = "\"nightly-report\" (key -8663603374018903193) is free";
    assert!(
        told.out.contains(&next) || told.out.contains(free),
        "{}",
        told.out
    );
    waiter.finish();
    db.wait_for_no_locks();
    let again = on(&db, &["free", "nightly-report", "-y"]);
    assert_eq!(
        (again.code, again.out.contains("is free")),
        (0, true),
        "{again:?}"
    );
}

#[test]
fn free_ends_all_who_share_the_lock() {
    let db = database();
    let mut sharing: Vec<_> = (0..2).map(|_| db.connect()).collect();
    for client in &mut sharing {
        client
            .batch_execute("SELECT pg_advisory_lock_shared(42)")
            .unwrap();
    }
    let dry = on(&db, &["free", "42", "--dry-run", "--json"]);
    assert_eq!((dry.code, db.held(42)), (0, 2), "{dry:?}");
    let json: Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!(json["sessions"][1]["outcome"], "shown", "{json}");
    let told = on(&db, &["free", "42", "-y"]);
    assert_eq!(
        (told.code, told.out.matches(": terminated").count()),
        (0, 2),
        "{told:?}"
    );
    wait_until("it is free", BOUND, || db.held(42) == 0);
}

/// As one that the server can't end yet.
#[test]
fn a_lock_that_does_not_come_free_in_time_is_said_to_be_held() {
    let server = Server::start();
    let db = server.create_database();
    let mut holder = db.connect();
    holder.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
    let backend = Pid::from_raw(pid_of(&mut holder)).unwrap();
    kill_process(backend, Signal::STOP).unwrap();
    let told = on(&db, &["free", "42", "-y", "--wait", "100ms"]);
    kill_process(backend, Signal::CONT).unwrap();
    assert!(
        told.code == 1 && told.out.ends_with("is still held\n"),
        "{told:?}"
    );
    wait_until("it is free", BOUND, || db.held(42) == 0);
}
