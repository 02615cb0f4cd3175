//! How a word becomes a key, of each command that takes one; and `id`.

use pglock_tests::{TestDb, database};
use serde_json::Value;

use crate::names::folder;
use crate::{bare, on, pglock, said};

/// The schemes, each with a word and what SQL takes the same lock.
const SCHEMES: [(&str, &str, &str); 8] = [
    ("auto", "42", "42"),
    ("name", "nightly-report", "-8663603374018903193"),
    ("key", "1,2", "1, 2"),
    ("hashtext", "nightly-report", "hashtext('nightly-report')"),
    (
        "hashtextextended",
        "nightly-report",
        "hashtextextended('nightly-report', 0)",
    ),
    // As sqlx itself computes it.
    ("sqlx", "nightly-report", "8797529593787444750"),
    // The first 16 digits.
    (
        "md5",
        "hello",
        "('x' || substr(md5('hello'), 1, 16))::bit(64)::bigint",
    ),
    ("with-advisory-lock", "nightly-report", "69980848, 0"),
];

fn holds(db: &TestDb, key: &str) -> postgres::Client {
    let mut holder = db.connect_as("worker-1");
    holder
        .batch_execute(&format!("SELECT pg_advisory_lock({key})"))
        .unwrap();
    holder
}

#[test]
fn each_scheme_is_that_of_its_program() {
    let db = database();
    for (scheme, word, key) in SCHEMES {
        let held = holds(&db, key);
        let who = on(&db, &["who", word, "--as", scheme]);
        assert!(
            who.code == 0 && who.out.contains("worker-1"),
            "{scheme}: {who:?}"
        );
        let id = said(bare().args(["id", word, "--as", scheme, "--json"]));
        let id: Value = serde_json::from_str(&id.out).unwrap();
        let listed = on(&db, &["ls", "--json"]);
        let listed: Value = serde_json::from_str(&listed.out).unwrap();
        assert_eq!(id["key"], listed["locks"][0]["advisory"]["key"], "{scheme}");
        // Busy, so it is the same lock.
        let run = on(&db, &["run", "-n", "--as", scheme, word, "--", "true"]);
        assert_eq!(run.code, 75, "{scheme}: {run:?}");
        let freed = on(&db, &["force-unlock", word, "--as", scheme, "-y"]);
        assert!(
            freed.code == 0 && freed.out.contains(": terminated"),
            "{scheme}: {freed:?}"
        );
        let run = on(&db, &["run", "-n", "--as", scheme, word, "--", "true"]);
        assert_eq!(run.code, 0, "{scheme}: {run:?}");
        drop(held);
    }
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
    for (word, python) in [
        (
            "it's \"x\"",
            Some("python    pglock.advisory(\"it's \\\"x\\\"\")    #"),
        ),
        ("42", Some("python    pglock.advisory(42)    #")),
        ("prisma", Some("python    pglock.advisory(72707369)    #")),
        ("1,2", None),
    ] {
        let id = said(bare().args(["id", word]));
        let has = |python: &str| id.out.contains(python);
        assert_eq!(has(python.unwrap_or("python")), python.is_some(), "{id:?}");
    }
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
    let every = said(bare().args(["id", "--every", "hello", "--json"]));
    let every: serde_json::Value = serde_json::from_str(&every.out).unwrap();
    assert_eq!(every["keys"][0]["key"], "1054880662928880172", "{every}");
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
    let packed = said(bare().args(["id", "--of", "3516360397", "4026531839", "2"]));
    assert!(
        packed.code == 1
            && packed
                .out
                .contains("DistributedLock (.NET) packs short names, it reads \"hello\""),
        "{packed:?}"
    );
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
