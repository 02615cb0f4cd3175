//! `names`, and `pglock.toml`.

use std::fs;

use pglock_tests::database;
use tempfile::TempDir;

use super::{bare, pglock, said};

pub(crate) fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pglock.toml"), text).unwrap();
    folder
}

#[test]
fn names_lists_what_is_known() {
    let folder = folder("[names]\nlocks = [\"nightly-report\"]");
    let names = said(bare().arg("names").current_dir(folder.path()));
    assert_eq!(names.code, 0, "{names:?}");
    assert!(
        names.out.contains("nightly-report") && names.out.contains("Prisma Migrate"),
        "{}",
        names.out
    );
}

#[test]
fn a_name_of_the_file_is_shown_for_its_key() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("SELECT pg_advisory_lock(-8663603374018903193)")
        .unwrap();
    let folder = folder("[names]\nlocks = [\"nightly-report\"]");
    let ls = said(pglock(&db).arg("ls").current_dir(folder.path()));
    assert!(ls.out.contains("\"nightly-report\""), "{}", ls.out);
    let asked = said(pglock(&db).args(["ls", "--lock", "nightly-report"]));
    assert!(asked.out.contains("\"nightly-report\""), "{}", asked.out);
}

#[test]
fn a_name_that_is_not_the_locks_is_not_believed() {
    let db = database();
    let forged = "/* pglock: \"nightly-report\" */; SELECT pg_advisory_lock(42)";
    let mut liar = db.connect_as("liar");
    liar.batch_execute(forged).unwrap();
    let waiter = pglock_tests::Waiter::of(&db, db.connect_as("web"), forged);
    for look in [&["ls"][..], &["blocked"], &["tree"]] {
        let found = said(pglock(&db).args(look));
        assert!(
            found.out.contains("advisory 42") && !found.out.contains("nightly-report"),
            "{found:?}"
        );
    }
    let who = said(pglock(&db).args(["who", "nightly-report"]));
    assert!(who.code == 1 && who.out.contains("is free"), "{who:?}");
    drop(liar);
    waiter.finish();
}

#[test]
fn databases_have_names() {
    let db = database();
    let folder = folder(&format!(
        "database = \"here\"\n[databases]\nhere = \"{url}\"\nagain = {{ url = \"{url}\" }}",
        url = db.url()
    ));
    for arguments in [&["ls"][..], &["-d", "again"]] {
        let ls = said(bare().args(arguments).current_dir(folder.path()));
        assert_eq!(ls.code, 0, "{ls:?}");
    }
    // What lacks the beginning of a URL is no name, and has a password.
    let cut_off = said(bare().args(["-d", "app:s3cret@db.example/app"]));
    assert!(
        cut_off.code == 2 && !cut_off.err.contains("s3cret"),
        "{cut_off:?}"
    );
    let unknown = said(bare().args(["-d", "prod"]).current_dir(folder.path()));
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("again, here"), "{}", unknown.err);
}

#[test]
fn configurations_are_used_by_name() {
    let db = database();
    let mut client = db.connect();
    client.batch_execute("SELECT pg_advisory_lock(7)").unwrap();
    let folder = folder(
        "limit = 3\n[configs.advisory]\nfilters = [\"kind=ADVISORY\"]\nattributes = [\"lock\"]\nexpanded = true",
    );
    let ls = said(
        pglock(&db)
            .args(["-c", "advisory"])
            .current_dir(folder.path()),
    );
    assert!(ls.out.ends_with("\nlock  advisory 7\n"), "{ls:?}");
    let unknown = said(pglock(&db).args(["-c", "none"]).current_dir(folder.path()));
    assert!(
        unknown.code == 2 && unknown.err.contains("there are advisory"),
        "{unknown:?}"
    );
}

#[test]
fn mistakes_in_the_file_are_named_by_line_or_key_without_its_text() {
    let db = database();
    let folder = folder("[databases]\nprod = postgres://ops:s3cret@db/app");
    let wrong = said(pglock(&db).arg("ls").current_dir(folder.path()));
    assert_eq!(wrong.code, 2);
    assert!(
        wrong.err.contains("line 2") && !wrong.err.contains("s3cret"),
        "{}",
        wrong.err
    );
    let folder = self::folder("limits = 3");
    let wrong = said(pglock(&db).arg("ls").current_dir(folder.path()));
    assert!(
        wrong.err.contains("`limits`") && wrong.err.contains("limit,"),
        "{}",
        wrong.err
    );
    let folder = self::folder("limit = \"3\"");
    let wrong = said(pglock(&db).arg("ls").current_dir(folder.path()));
    assert!(
        wrong.err.contains("`limit` has to be a number"),
        "{}",
        wrong.err
    );
}

/// As a program writes it.
const CATALOG: &str = r#"{"schema": "pglock/catalog/1", "program": "app", "locks": [
    {"attribute": "advisory", "id": "nightly-report", "key": "-8663603374018903193", "function": "app::report",
     "file": "src/jobs.rs", "line": 14, "timeout_seconds": 30.0, "side_effect": null, "shared": false, "scope": "session"},
    {"attribute": "advisory", "id": "invoices-{customer}", "key": null, "function": "app::bill",
     "file": "src/billing.rs", "line": 7, "timeout_seconds": null, "side_effect": "Skip", "shared": false, "scope": "session"},
    {"attribute": "timeout", "id": null, "key": null, "function": "app::bill",
     "file": "src/billing.rs", "line": 8, "timeout_seconds": 3.0, "side_effect": null, "shared": false, "scope": "session"}]}"#;

#[test]
fn the_catalog_of_a_program_names_its_locks() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("SELECT pg_advisory_lock(-8663603374018903193)")
        .unwrap();
    let folder = folder("[names]\ncatalogs = [\"locks.json\"]");
    fs::write(folder.path().join("locks.json"), CATALOG).unwrap();
    let within = folder.path().join("within");
    fs::create_dir(&within).unwrap();
    let at = "src/jobs.rs:14: app::report: advisory, timeout 30 s";
    // The path is one from the folder of the file that has it.
    let ls = said(pglock(&db).args(["ls", "--json"]).current_dir(&within));
    assert!(
        ls.out.contains(r#""name": "nightly-report""#)
            && ls.out.contains(r#""named_by": "catalog""#),
        "{}",
        ls.out
    );
    let who = said(
        pglock(&db)
            .args(["who", "nightly-report"])
            .current_dir(&within),
    );
    assert!(
        who.out.ends_with(&format!("{at} (locks.json)\n")),
        "{}",
        who.out
    );
    let json = said(
        pglock(&db)
            .args(["who", "nightly-report", "--json"])
            .current_dir(&within),
    );
    assert!(
        json.out.contains(r#""place": "src/jobs.rs:14""#),
        "{}",
        json.out
    );
    let names = said(bare().arg("names").current_dir(&within));
    assert!(
        names.out.contains(at) && names.out.contains("depends on the call"),
        "{}",
        names.out
    );
    assert!(!names.out.contains("src/billing.rs:8"), "{}", names.out);
    let back = said(
        bare()
            .args(["id", "--of", "2277814946", "280642407"])
            .current_dir(&within),
    );
    assert_eq!(
        back.out,
        "\"nightly-report\" (locks.json, src/jobs.rs:14), key -8663603374018903193\n"
    );

    let catalog = folder.path().join("locks.json");
    let by_option = said(pglock(&db).arg("ls").arg("--names").arg(&catalog));
    let by_variable = said(pglock(&db).arg("ls").env("PGLOCK_NAMES", &catalog));
    for ls in [by_option, by_variable] {
        assert!(ls.out.contains("\"nightly-report\""), "{}", ls.out);
    }
}

#[test]
fn what_is_no_catalog_is_refused() {
    let folder = folder("database = \"x\"");
    let missing = said(
        bare()
            .args(["names", "--names", "missing.json"])
            .current_dir(folder.path()),
    );
    assert!(
        missing.code == 2 && missing.err.contains("cannot read missing.json"),
        "{missing:?}"
    );
    let other = said(
        bare()
            .args(["names", "--names", "pglock.toml"])
            .current_dir(folder.path()),
    );
    assert!(
        other.code == 2 && other.err.contains("is not a catalog of locks"),
        "{other:?}"
    );
}

#[test]
fn names_are_guessed() {
    let db = database();
    let mut client = db.connect();
    let lock = pglock::advisory("invoices-77")
        .on(&mut client)
        .acquire()
        .unwrap();
    let folder = folder("[names]\ntry = [\"invoices-{1..100}\"]");
    let ls = said(
        pglock(&db)
            .args(["ls", "--json"])
            .current_dir(folder.path()),
    );
    assert!(ls.out.contains(r#""named_by": "session""#), "{}", ls.out);
    lock.release().unwrap();
    let (classid, objid) = pglock::advisory_id("invoices-77");
    let of = [classid.to_string(), objid.to_string()];
    let back = said(
        bare()
            .args(["id", "--of"])
            .args(&of)
            .current_dir(folder.path()),
    );
    assert!(back.out.starts_with("\"invoices-77\" (tried)"), "{back:?}");

    let folder = self::folder("[names]\ntry = [\"invoices\"]");
    let refused = said(bare().arg("names").current_dir(folder.path()));
    assert!(
        refused.code == 2 && refused.err.contains("has no range"),
        "{refused:?}"
    );
    let folder = self::folder("[names]\nlock = [\"a\"]");
    let refused = said(bare().arg("names").current_dir(folder.path()));
    assert!(
        refused.code == 2 && refused.err.contains("there is no key `lock` in [names]"),
        "{refused:?}"
    );
}

#[test]
fn a_database_can_be_for_looking_only() {
    let db = database();
    let folder = folder(&format!(
        "[databases]\nprod = {{ url = \"{url}\", read_only = true }}",
        url = db.url()
    ));
    let on = |name: &str, arguments: &[&str]| {
        said(
            bare()
                .args(["-d", name])
                .args(arguments)
                .current_dir(folder.path()),
        )
    };
    assert_eq!(on("prod", &["ls"]).code, 0);
    for verb in [
        &["terminate", "1", "-y"][..],
        &["cancel", "1", "-y"],
        &["free", "a", "-y"],
        &["guard", "--cancel", "--", "true"],
        &["ls", "1", "--terminate", "-y"],
    ] {
        let refused = on("prod", verb);
        assert_eq!(
            refused.code,
            if verb[0] == "guard" { 125 } else { 2 },
            "{refused:?}"
        );
        assert!(
            refused.err.contains("the database `prod` is `read_only`"),
            "{refused:?}"
        );
    }
    for (wrong, why) in [
        ("{ url = \"x\", read_only = 1 }", "has to be true or false"),
        (
            "{ url = \"x\", readonly = true }",
            "there is no key `readonly` for the database `prod`",
        ),
        ("{ read_only = true }", "a table with the key `url`"),
    ] {
        let folder = self::folder(&format!("[databases]\nprod = {wrong}"));
        let told = said(pglock(&db).arg("ls").current_dir(folder.path()));
        assert!(told.code == 2 && told.err.contains(why), "{told:?}");
    }
    assert_eq!(on(db.url(), &["free", "a", "-y"]).code, 0);
    // Nobody has named it here.
    let default = said(
        pglock(&db)
            .args(["free", "a", "-y"])
            .current_dir(folder.path()),
    );
    assert!(
        default.code == 2 && default.err.contains("the database `prod` is `read_only`"),
        "{default:?}"
    );
}

#[test]
fn yes_of_a_file_that_others_can_write_counts_only_if_it_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    let db = database();
    let folder =
        folder("[configs.kill]\nfilters = [\"kind=ADVISORY\"]\nterminate = true\nyes = true");
    let file = folder.path().join("pglock.toml");
    let kill = |arguments: &[&str]| {
        let mut client = db.connect();
        client.batch_execute("SELECT pg_advisory_lock(7)").unwrap();
        said(
            pglock(&db)
                .args(["ls", "-c", "kill"])
                .args(arguments)
                .current_dir(folder.path()),
        )
    };
    let write = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    write(0o644);
    assert_eq!(kill(&[]).code, 0);
    let is_asked = |why: &str| {
        let asked = kill(&[]);
        assert!(
            asked.code == 2 && asked.err.contains("pass -y") && asked.err.contains(why),
            "{asked:?}"
        );
        let named = kill(&["--config-file", file.to_str().unwrap()]);
        assert!(
            named.code == 0 && !named.err.contains("does not count"),
            "{named:?}"
        );
    };
    write(0o666);
    is_asked("does not count, since others can write it");
    if rustix::process::geteuid().is_root() {
        write(0o644);
        std::os::unix::fs::chown(&file, Some(65_534), None).unwrap();
        is_asked("does not count, since it belongs to somebody else");
        // Root's counts for everybody.
        std::os::unix::fs::chown(&file, Some(0), None).unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut client = db.connect();
        client.batch_execute("SELECT pg_advisory_lock(7)").unwrap();
        let mut as_nobody = pglock(&db);
        as_nobody
            .args(["ls", "-c", "kill"])
            .current_dir(folder.path());
        let killed = said(as_nobody.uid(65_534));
        assert_eq!(killed.code, 0, "{killed:?}");
    }
}
