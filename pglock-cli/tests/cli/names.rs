//! `id`, `names`, and `pglock.toml`.

use std::fs;

use pglock_tests::database;
use tempfile::TempDir;

use super::{bare, pglock, said};

fn folder(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pglock.toml"), text).unwrap();
    folder
}

#[test]
fn id_needs_no_server() {
    let id = said(bare().args(["id", "nightly-report"]));
    assert_eq!(id.code, 0, "{id:?}");
    assert!(id.out.contains("key       -8663603374018903193\npg_locks  classid 2277814946, objid 280642407, objsubid 1\n"), "{}", id.out);
    let pair = said(bare().args(["id", "1,2"]));
    assert!(
        pair.out.contains("objsubid 2") && pair.out.contains("pg_advisory_lock(1,2)"),
        "{}",
        pair.out
    );
    let name = said(bare().args(["id", "42", "--as", "name"]));
    assert!(!name.out.contains("key       42\n"), "{}", name.out);
    let json = said(bare().args(["id", "nightly-report", "--json"]));
    assert!(
        json.out.contains(r#""key": "-8663603374018903193""#),
        "{}",
        json.out
    );
}

#[test]
fn keys_of_other_programs_are_made_as_they_make_them() {
    let db = database();
    let mut client = db.connect();
    client
        .batch_execute("SELECT pg_advisory_lock(hashtext('nightly-report'))")
        .unwrap();
    let who = said(pglock(&db).args(["who", "nightly-report", "--as", "hashtext"]));
    assert_eq!(who.code, 0, "{who:?}");
    assert!(
        who.out
            .contains("\"nightly-report\" (hashtext) (key 759228614)"),
        "{}",
        who.out
    );
    let every = said(bare().args(["id", "--every", "hello"]));
    for key in [
        "1054880662928880172",
        "-1870292951",
        "6719722671305337462",
        "907060870,0",
    ] {
        assert!(every.out.contains(key), "{key}: {}", every.out);
    }
    assert!(!every.out.contains("auto"), "{}", every.out);
}

#[test]
fn the_way_back_finds_names_that_are_known() {
    let folder = folder("[names]\nlocks = [\"nightly-report\"]");
    let known = said(
        bare()
            .args(["id", "--of", "2277814946", "280642407"])
            .current_dir(folder.path()),
    );
    assert_eq!(
        (known.code, known.out.as_str()),
        (
            0,
            "\"nightly-report\" (pglock.toml), key -8663603374018903193\n"
        )
    );
    let unknown = said(bare().args(["id", "--of", "2277814946", "280642407"]));
    assert_eq!(unknown.code, 1, "{unknown:?}");
    let of_database = said(bare().args(["id", "sqlx", "-d", "postgres://localhost/app"]));
    assert!(
        of_database.out.contains("3469795979745788610"),
        "{of_database:?}"
    );
    let without = said(bare().args(["id", "sqlx"]));
    assert!(
        without.code == 2 && without.err.contains("pass -d"),
        "{without:?}"
    );
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
