//! Every example of the page of django-pglock on its command: the same flags find the same rows. Tables stand in the place
//! of models, and what takes a minute there takes a moment here.

use std::path::Path;

use pglock_tests::{BOUND, Waiter, pid_of, wait_until};
use tempfile::TempDir;

use super::{Blocked, Said, on, pglock, said};

/// A session that waits behind the one that migrates, with the context that django-pgactivity writes.
const WEB: &str = "/*pga_context={\"url\": \"/orders/\"}*/\nSELECT * FROM orders";

fn web(blocked: &Blocked) -> Waiter {
    Waiter::of(&blocked.db, blocked.db.connect_as("web"), WEB)
}

/// The rows of the listing, with these columns.
fn rows(blocked: &Blocked, attributes: &str, flags: &[&str]) -> Vec<String> {
    let csv = ["--output", "csv", "-a", attributes];
    let listed = on(&blocked.db, &[flags, &csv].concat());
    assert_eq!(listed.code, 0, "{listed:?}");
    listed.out.lines().skip(1).map(str::to_owned).collect()
}

/// `PGLOCK_CONFIGS` of the page, in the file that stands for the settings.
fn settings(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pglock.toml"), text).unwrap();
    folder
}

fn with(settings: &Path, blocked: &Blocked, flags: &[&str]) -> Said {
    said(pglock(&blocked.db).args(flags).current_dir(settings))
}

#[test]
fn the_listing_is_ordered_by_wait_duration_and_has_the_attributes_of_the_page() {
    let blocked = Blocked::on_orders();
    let web = web(&blocked);
    let attributes = "activity_id,granted,mode,rel_kind,rel_name,activity__context,activity__query";
    let [holder, waiter, web_pid] = [blocked.holder_pid, blocked.waiter.pid, web.pid];
    let context = "\"{\"\"url\"\": \"\"/orders/\"\"}\"";
    assert_eq!(
        rows(&blocked, attributes, &[]),
        [
            format!(
                "{waiter},False,ACCESS_EXCLUSIVE,TABLE,orders,,ALTER TABLE orders ADD note text"
            ),
            format!("{web_pid},False,ACCESS_SHARE,TABLE,orders,{context},SELECT * FROM orders"),
            format!("{holder},True,ACCESS_SHARE,TABLE,orders,,SELECT pg_backend_pid()"),
        ]
    );
    let duration = &rows(&blocked, "activity__duration", &["-l", "1"])[0];
    assert!(duration.ends_with('s'), "{duration}");
    let _db = blocked.end();
    web.finish();
}

/// `manage.py pglock -e`
#[test]
fn the_expanded_listing_truncates_nothing() {
    let blocked = Blocked::on_orders();
    let long = format!(
        "SELECT 1 FROM orders WHERE {}id = 0",
        "id = 1 OR ".repeat(20)
    );
    let web = Waiter::of(&blocked.db, blocked.db.connect_as("web"), &long);
    let expanded = on(&blocked.db, &["-e", &web.pid.to_string()]);
    assert!(
        expanded.out.ends_with(&format!("  {long}\n")),
        "{}",
        expanded.out
    );
    let _db = blocked.end();
    web.finish();
}

/// `manage.py pglock -f "activity__duration__gt=5 seconds" -f "granted=False"`
#[test]
fn filters_are_combined() {
    let blocked = Blocked::on_orders();
    let flags = [
        "-f",
        "activity__duration__gt=5 seconds",
        "-f",
        "granted=False",
    ];
    assert_eq!(rows(&blocked, "activity_id", &flags), [""; 0]);
    wait_until("it has run for so long", BOUND, || {
        !rows(&blocked, "activity_id", &flags).is_empty()
    });
    assert_eq!(
        rows(&blocked, "activity_id", &flags),
        [blocked.waiter.pid.to_string()]
    );
    blocked.end();
}

/// `manage.py pglock --blocking`
#[test]
fn blocking_shows_who_is_blocked_and_by_whom() {
    let blocked = Blocked::on_orders();
    let attributes = "activity_id,blocking_activity_id,activity__context,blocking_activity__context,activity__query,blocking_activity__query";
    let (waiter, holder) = (blocked.waiter.pid, blocked.holder_pid);
    assert_eq!(
        rows(&blocked, attributes, &["--blocking"]),
        [format!(
            "{waiter},{holder},,,ALTER TABLE orders ADD note text,SELECT pg_backend_pid()"
        )]
    );
    blocked.end();
}

/// `manage.py pglock --terminate`, which ends every session there, its own too.
#[test]
fn without_a_pid_or_a_filter_everybody_is_spared() {
    let blocked = Blocked::on_orders();
    let refused = on(&blocked.db, &["--terminate", "-y"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    blocked.end();
}

/// `manage.py pglock pid1 pid2 --terminate`
#[test]
fn pids_are_terminated_after_a_question() {
    let blocked = Blocked::on_orders();
    blocked.db.execute("CREATE TABLE users (id int)");
    let mut other = blocked.db.connect_as("other");
    other.batch_execute("BEGIN; LOCK users").unwrap();
    let pids = [blocked.holder_pid, pid_of(&mut other)].map(|pid| pid.to_string());
    let flags = [&pids[0], &pids[1], "--terminate"];
    let unanswered = on(&blocked.db, &flags);
    assert!(
        unanswered.code == 2 && unanswered.err.contains("pass -y"),
        "{unanswered:?}"
    );
    let told = on(&blocked.db, &[&flags[..], &["-y"]].concat());
    assert_eq!(told.code, 0, "{told:?}");
    let is_told = |pid: &String| told.out.contains(&format!("{pid} \""));
    assert!(pids.iter().all(is_told), "{told:?}");
    assert_eq!(told.out.matches(": terminated\n").count(), 2, "{told:?}");
    blocked.waiter.finish();
}

/// `manage.py pglock -f "activity__duration__gt=1 minute" --blocking --terminate`
#[test]
fn those_who_block_what_has_run_for_long_are_terminated() {
    let blocked = Blocked::on_orders();
    let of = |duration: &str| {
        let filter = format!("activity__duration__gt={duration}");
        on(
            &blocked.db,
            &["-f", &filter, "--blocking", "--terminate", "-y"],
        )
    };
    assert_eq!(of("1 minute").code, 1);
    let told = of("1 millisecond");
    assert_eq!(told.code, 0, "{told:?}");
    let only = format!("{} \"report\" of user ", blocked.holder_pid);
    assert!(
        told.out.starts_with(&only) && told.out.lines().count() == 1,
        "{told:?}"
    );
    blocked.waiter.finish();
}

/// `manage.py pglock -c kill-long-blocking`
#[test]
fn a_configuration_terminates_without_a_question() {
    let blocked = Blocked::on_orders();
    let settings = settings(
        "[configs.kill-long-blocking]\n\
         filters = [\"activity__duration__gt=1 minute\"]\nyes = true\nblocking = true\nterminate = true\n",
    );
    let kill = ["-c", "kill-long-blocking"];
    let none = with(settings.path(), &blocked, &kill);
    assert_eq!(none.code, 1, "{none:?}");
    // What is on the command line overrides the configuration.
    let instead = ["-f", "activity__duration__gt=1 millisecond"];
    let told = with(settings.path(), &blocked, &[kill, instead].concat());
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("\"report\""), "{told:?}");
    blocked.waiter.finish();
}

/// `manage.py pglock -c short-output`
#[test]
fn a_configuration_chooses_attributes_before_the_settings() {
    let blocked = Blocked::on_orders();
    let settings = settings(
        "attributes = [\"mode\"]\n\
         [configs.short-output]\nattributes = [\"activity_id\", \"wait_duration\"]\n",
    );
    let first = |flags: &[&str]| {
        let csv = ["--output", "csv"];
        let listed = with(settings.path(), &blocked, &[flags, &csv].concat());
        listed.out.lines().next().unwrap().to_owned()
    };
    assert_eq!(first(&["-c", "short-output"]), "activity,wait_duration");
    assert_eq!(first(&[]), "mode");
    assert_eq!(first(&["-c", "short-output", "-a", "rel_name"]), "rel_name");
    for (variable, flags) in [
        ("PGLOCK_ATTRIBUTES", &["ls"][..]),
        ("PGLOCK_BLOCKING_ATTRIBUTES", &["--blocking"]),
    ] {
        let first = |more: &[&str]| {
            let mut listing = pglock(&blocked.db);
            listing.args(flags).args(more).args(["--output", "csv"]);
            listing.current_dir(settings.path());
            let listed = said(listing.env(variable, "mode, user"));
            listed.out.lines().next().unwrap().to_owned()
        };
        assert_eq!(first(&["-c", "short-output"]), "mode,activity__user");
        assert_eq!(first(&["-a", "pid"]), "activity");
    }
    blocked.end();
}

/// The other options of the page's list: `-d`, `-o`, `-l`.
#[test]
fn a_database_a_table_and_a_limit_are_chosen() {
    let blocked = Blocked::on_orders();
    blocked.db.execute("CREATE TABLE users (id int)");
    let mut other = blocked.db.connect_as("other");
    other
        .batch_execute("BEGIN; SELECT count(*) FROM users")
        .unwrap();
    let names = |flags: &[&str]| rows(&blocked, "activity__application_name", flags);
    assert_eq!(names(&["-o", "users"]), ["other"]);
    assert_eq!(
        names(&["-o", "orders", "-o", "users"]),
        ["migration", "report", "other"]
    );
    assert_eq!(names(&["-l", "1"]), ["migration"]);
    let settings = settings(&format!("[databases]\nother = \"{}\"\n", blocked.db.url()));
    let listed = said(
        super::bare()
            .args(["-d", "other", "-o", "users"])
            .current_dir(settings.path()),
    );
    assert!(
        listed.code == 0 && listed.out.contains("other"),
        "{listed:?}"
    );
    drop(other);
    blocked.end();
}
