//! Named configurations in files: what they find, what overrides them, where the file is, and what is wrong with it.

use std::collections::BTreeSet;
use std::path::Path;

use pglock::{Locks, TableMode};
use pglock_tests::{BOUND, Child, TestDb, child, database, wait_until};
use postgres::{Client, NoTls};
use tempfile::TempDir;

use crate::{Waiter, pid_of};

/// A folder with a `pglock.toml`.
struct Folder(TempDir);

impl Folder {
    fn with(text: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write(text);
        folder
    }

    fn write(&self, text: &str) {
        std::fs::write(self.file(), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self) -> std::path::PathBuf {
        self.path().join("pglock.toml")
    }

    fn locks(&self, name: &str) -> Locks {
        pglock::locks().config_from(self.file(), name).unwrap()
    }

    fn refused(&self, name: &str) -> String {
        let error = pglock::locks()
            .config_from(self.file(), name)
            .expect_err(name);
        assert!(error.is_config(), "{error}");
        error.to_string()
    }
}

/// A database whose tables `one`, `two` and `three` are locked by two sessions, and one more waits for `one`.
struct Locked {
    db: TestDb,
    client: Client,
    first: Client,
    second: Client,
    waiter: Waiter,
}

impl Locked {
    fn tables() -> Locked {
        let db = database();
        db.execute("CREATE TABLE one (); CREATE SCHEMA shop; CREATE TABLE shop.two (); CREATE TABLE three ()");
        let (mut first, mut second) = (db.connect_as("first"), db.connect_as("second"));
        first
            .batch_execute("BEGIN; LOCK TABLE one, shop.two")
            .unwrap();
        second.batch_execute("BEGIN; LOCK TABLE three").unwrap();
        let waiter = Waiter::start(&db, "BEGIN; LOCK TABLE one IN SHARE MODE; COMMIT");
        let client = db.connect();
        Locked {
            db,
            client,
            first,
            second,
            waiter,
        }
    }

    /// The tables that are found, each with who locks it.
    fn found(&mut self, locks: Locks) -> BTreeSet<String> {
        let locks = locks.filter("rel_name__in=one,two,three").unwrap();
        let locks = locks.fetch(&mut self.client).unwrap();
        locks
            .into_iter()
            .map(|lock| {
                let who = lock.activity.application_name.unwrap();
                format!("{} {who}", lock.rel_name.unwrap())
            })
            .collect()
    }
}

fn set(found: &[&str]) -> BTreeSet<String> {
    found.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn each_key_does_what_its_method_does() {
    let mut locked = Locked::tables();
    let folder = Folder::with(&format!(
        r#"
        [configs]
        nothing = {{}}
        filters = {{ filters = ["activity__application_name=first", "rel_name__startswith=o"] }}
        exclude = {{ exclude = ["rel_name=one", "schema=shop"] }}
        on = {{ on = ["three", "shop.two"] }}
        pids = {{ pids = [{first}, {waiter}] }}
        held = {{ granted = true }}
        waiting = {{ granted = false }}
        limit = {{ limit = 1, filters = ["rel_name=one"] }}
        none = {{ pids = [] }}
        both = {{ pids = [{first}], on = ["one"], granted = true, exclude = ["mode=SHARE"] }}
        "#,
        first = pid_of(&mut locked.first),
        waiter = locked.waiter.pid,
    ));
    let all = ["one first", "two first", "three second", "one waiter"];
    for (name, expected) in [
        ("nothing", &all[..]),
        ("filters", &["one first"]),
        ("exclude", &["three second"]),
        ("on", &["three second", "two first"]),
        ("pids", &["one first", "two first", "one waiter"]),
        ("held", &["one first", "two first", "three second"]),
        ("waiting", &["one waiter"]),
        ("limit", &["one waiter"]),
        ("none", &[]),
        ("both", &["one first"]),
    ] {
        let locks = folder.locks(name);
        assert_eq!(locked.found(locks), set(expected), "{name}");
    }
    drop(locked.first);
    locked.waiter.finish();
}

#[test]
fn the_last_call_counts_and_filters_narrow_until_they_are_cleared() {
    let mut locked = Locked::tables();
    let second = pid_of(&mut locked.second);
    let folder = Folder::with(&format!(
        r#"
        configs.first.pids = [{}]
        configs.one.on = ["one"]
        configs.held = {{ granted = true, limit = 0 }}
        configs.filtered = {{ on = ["one"], filters = ["granted=False"], exclude = ["pid=0"] }}
        "#,
        pid_of(&mut locked.first),
    ));
    let locks = |name| folder.locks(name);
    for (locks, expected) in [
        (locks("first").pid([second]), &["three second"][..]),
        (locks("one").on(["three"]), &["three second"]),
        (locks("held").granted(false).limit(9), &["one waiter"]),
        (
            locks("filtered").filter("mode=SHARE").unwrap(),
            &["one waiter"],
        ),
        (locks("filtered").filter("granted=True").unwrap(), &[]),
        (
            locks("filtered")
                .clear_filters()
                .filter("granted=True")
                .unwrap(),
            &["one first"],
        ),
        (
            locks("filtered").clear_filters(),
            &["one first", "one waiter"],
        ),
    ] {
        let asked = format!("{locks:?}");
        assert_eq!(locked.found(locks), set(expected), "{asked}");
    }
    // A configuration is such a call, too: it overrides what it names, and leaves alone what it does not.
    let named = |locks: Locks, name| locks.config_from(folder.file(), name).unwrap();
    let before = named(pglock::locks().pid([second]), "first");
    assert_eq!(locked.found(before), set(&["one first", "two first"]));
    let before = named(pglock::locks().pid([second]), "one");
    assert_eq!(locked.found(before), set(&[]));
    let before = named(named(pglock::locks(), "one"), "first");
    assert_eq!(locked.found(before), set(&["one first"]));
    drop(locked.first);
    locked.waiter.finish();
}

#[test]
fn a_configuration_of_what_blocks_ends_it() {
    let locked = Locked::tables();
    let folder = Folder::with(
        r#"
        [configs.kill-long-blocking]
        filters = ["wait_duration__gt=0 seconds", "blocking_activity__state=IDLE_IN_TRANSACTION"]
        on = ["one"]
        "#,
    );
    let Locked {
        db,
        mut client,
        mut first,
        mut second,
        waiter,
    } = locked;
    let blocked = pglock::blocked_locks()
        .config_from(folder.file(), "kill-long-blocking")
        .unwrap();
    let [row] = &blocked.clone().fetch(&mut client).unwrap()[..] else {
        panic!("one waits, for one");
    };
    assert_eq!(row.mode, TableMode::Share);
    let hit = blocked.terminate_blocking_activity(&mut client).unwrap();
    assert_eq!(hit, [row.blocking_activity.pid]);
    waiter.finish();
    wait_until("the first is gone", BOUND, || {
        db.backends_named("first").is_empty()
    });
    assert!(first.batch_execute("COMMIT").is_err());
    second.batch_execute("COMMIT").unwrap();
    // Without `blocked_locks` there are no such fields, and the error says which there are.
    let error = folder.refused("kill-long-blocking");
    assert!(error.contains("activity__state, "), "{error}");
    assert!(!error.contains(", blocking_activity__"), "{error}");
}

#[test]
fn mistakes_name_the_file_the_configuration_and_what_is_valid() {
    let folder = Folder::with(
        r#"
        [configs.colour]
        filters = ["granted=True", "colour=red"]
        [configs.word]
        exclude = ["kind=TABEL"]
        [configs.table]
        on = [""]
        "#,
    );
    let file = folder.file().display().to_string();
    for (name, said) in [
        ("colour", &["filter \"colour\"", "rel_name, schema"][..]),
        ("word", &["\"TABEL\"", "write one of RELATION, EXTEND"]),
        ("table", &["table name \"\" is empty"]),
        ("color", &["it has colour, table, word"]),
    ] {
        let error = folder.refused(name);
        assert!(error.contains(&file), "{error}");
        assert!(
            error.contains(&format!("configuration {name:?}")),
            "{error}"
        );
        for said in said {
            assert!(error.contains(said), "{error}");
        }
    }

    // In whichever configuration it is.
    folder.write("[configs.a]\n[configs.b]\n\nfilter = []");
    let error = folder.refused("a");
    assert!(error.contains(&format!("{file}, line 4: ")), "{error}");
    assert!(
        error.contains("\"b\"; the keys are filters, exclude, on, pids, granted, limit, database"),
        "{error}"
    );
    folder.write("");
    assert!(folder.refused("a").contains("it has none yet"));
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_its_cause() {
    let folder = Folder::with("");
    std::fs::write(folder.file(), b"\xff\xfe").unwrap();
    assert!(folder.refused("a").contains("UTF-8"));
    std::fs::remove_file(folder.file()).unwrap();
    let error = folder.refused("a");
    assert!(error.contains("there is no such file"), "{error}");
    assert!(
        error.contains(&folder.file().display().to_string()),
        "{error}"
    );
    std::fs::create_dir(folder.file()).unwrap();
    let error = pglock::locks().config_from(folder.file(), "a").unwrap_err();
    assert!(error.is_config() && error.to_string().contains("is a file"));
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_changed_file_counts_at_the_next_call() {
    let mut locked = Locked::tables();
    let folder = Folder::with("configs.a.on = ['one']");
    let before = folder.locks("a");
    folder.write("configs.a.on = ['three']");
    let after = folder.locks("a");
    assert_eq!(locked.found(before), set(&["one first", "one waiter"]));
    assert_eq!(locked.found(after), set(&["three second"]));
    drop(locked.first);
    locked.waiter.finish();
}

#[test]
fn the_database_is_named_and_its_password_is_not() {
    let db = database();
    let folder = Folder::with(&format!(
        "[configs]\nhere.database = {:?}\nsecret.database = 'postgres://app:secret@db/app'\nnone.limit = 1",
        db.url()
    ));
    let locks = folder.locks("here");
    let config = locks.database().unwrap().clone();
    let mut client = postgres::Config::from(config).connect(NoTls).unwrap();
    let name: String = client
        .query_one("SELECT current_database()", &[])
        .unwrap()
        .get(0);
    assert_eq!(name, db.name());
    assert!(!locks.fetch(&mut client).unwrap().is_empty());
    assert!(folder.locks("none").database().is_none());
    // The latest that names one, as with the other keys.
    let locks = folder.locks("secret");
    assert_eq!(locks.database().unwrap().get_dbname(), Some("app"));
    assert!(!format!("{locks:?} {:?}", locks.clone()).contains("secret"));
    let locks = locks.config_from(folder.file(), "none").unwrap();
    assert_eq!(locks.database().unwrap().get_dbname(), Some("app"));
}

/// A process of its own, since where it is and its environment are the process'.
#[test]
fn the_file_is_the_one_of_the_environment_or_the_nearest() {
    if child::role().is_some() {
        child::say(&match pglock::locks().config("which") {
            Ok(locks) => {
                let config = locks.database().expect("each file names one");
                format!("found {}", config.get_dbname().unwrap())
            }
            Err(error) => {
                assert!(error.is_config(), "{error}");
                format!("found {error}")
            }
        });
        return;
    }
    let which = |name: &str| format!("configs.which.database = 'host=db dbname={name}'");
    let outer = Folder::with(&which("outer"));
    let inner = outer.path().join("inner");
    let deep = inner.join("deep/down");
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(inner.join("pglock.toml"), which("inner")).unwrap();
    let elsewhere = Folder::with("");
    let named = elsewhere.path().join("named.toml");
    std::fs::write(&named, which("named")).unwrap();
    let empty = tempfile::tempdir().unwrap();

    let found = |folder: &Path, variable: &Path| {
        let mut child = Child::of(
            "configs::the_file_is_the_one_of_the_environment_or_the_nearest",
            "asks",
        )
        .current_dir(folder)
        .env("PGLOCK_CONFIG", variable)
        .start();
        let line = child.wait_for_line("found", BOUND);
        child.finish(BOUND);
        line
    };
    let unset = Path::new("");
    assert_eq!(found(outer.path(), unset), "outer");
    assert_eq!(found(&inner, unset), "inner");
    assert_eq!(found(&deep, unset), "inner");
    assert_eq!(found(&deep, &named), "named");
    assert_eq!(found(empty.path(), &named), "named");
    assert_eq!(found(elsewhere.path(), Path::new("named.toml")), "named");

    let error = found(empty.path(), unset);
    assert!(
        error.contains(&empty.path().display().to_string()),
        "{error}"
    );
    assert!(
        error.contains("a folder above") && error.contains("PGLOCK_CONFIG"),
        "{error}"
    );
    // What is meant and can't be read is never replaced by another.
    let error = found(&deep, Path::new("gone.toml"));
    assert!(
        error.contains("gone.toml (named by PGLOCK_CONFIG): there is no such file"),
        "{error}"
    );
    std::fs::create_dir(deep.join("pglock.toml")).unwrap();
    let error = found(&deep, unset);
    assert!(error.contains("down/pglock.toml: "), "{error}");
}
