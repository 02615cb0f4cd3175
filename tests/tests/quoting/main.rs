//! Whatever text a caller passes, it stays a value or a name: none becomes a part of a statement, and none panics. Shown
//! on a real server, which quotes, compares and hashes the same texts by its own functions.

mod filters;
mod locks;
mod tables;

use std::cell::RefCell;
use std::collections::BTreeSet;

use pglock::Locks;
use pglock_tests::{TestDb, database};
use postgres::Client;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

/// What means something to Postgres, in a string, a name, a pattern, an array or a number.
const HOSTILE: [&str; 32] = [
    "'",
    "''",
    "\\'",
    "\\",
    "\\\\",
    "\"",
    "\"\"",
    "$1",
    "$$",
    "E'",
    ".",
    "..",
    ",",
    "=",
    "__",
    "%",
    "?",
    " ",
    "\n",
    "\t",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "é",
    "🦀",
    "; DROP TABLE canary; --",
    "\"; DROP TABLE canary; --",
    "'; DROP TABLE canary; --",
    "') OR true; --",
    "{1,2}",
    "::int",
    "/*",
];

fn text() -> impl Strategy<Value = String> {
    let hostile = || select(&HOSTILE[..]).prop_map(str::to_owned);
    let parts = vec(prop_oneof![hostile(), any::<String>()], 0..4);
    prop_oneof![
        hostile(),
        any::<String>(),
        parts.prop_map(|parts| parts.concat())
    ]
}

/// A text that Postgres takes as a name: not empty, of 63 bytes at most, without NUL.
fn name() -> impl Strategy<Value = String> {
    let longest = ["n".repeat(63), "é".repeat(31), "🦀".repeat(15)];
    let cut = prop_oneof![9 => text(), 1 => select(longest.to_vec())].prop_map(|text| {
        let mut name = text.replace('\0', "");
        while name.len() > 63 {
            name.pop();
        }
        name
    });
    // Schemas of that prefix are Postgres' own.
    cut.prop_filter("it is no name", |name| {
        !name.is_empty() && !name.starts_with("pg_")
    })
}

/// Names that differ from this one in what careless quoting would lose.
fn alike(name: &str) -> impl Iterator<Item = String> {
    let alike = [
        name.to_lowercase(),
        name.trim().to_owned(),
        name.replace(['"', '\'', '\\'], ""),
    ];
    let fits = |name: &String| !name.is_empty() && name.len() <= 63;
    alike.into_iter().filter(fits)
}

/// A database with a table that injections would drop, and sessions that every case uses again.
struct Bench {
    db: TestDb,
    holder: Client,
    holder_pid: i32,
    client: Client,
    /// Makes and drops what a case needs, and looks at `pg_locks`.
    observer: Client,
}

/// Runs the property for so many inputs; the only table afterwards is the one that was there before.
fn for_all<S: Strategy>(cases: u32, inputs: S, property: impl FnMut(&mut Bench, S::Value)) {
    let db = database();
    db.execute("CREATE TABLE canary ()");
    let mut holder = db.connect_as("holder");
    let pid = holder.query_one("SELECT pg_backend_pid()", &[]);
    let bench = Bench {
        holder_pid: pid.unwrap().get(0),
        holder,
        client: db.connect(),
        observer: db.connect(),
        db,
    };
    let state = RefCell::new((bench, property));
    let mut runner = TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&inputs, |input| {
        let (bench, property) = &mut *state.borrow_mut();
        property(bench, input);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let (mut bench, _) = state.into_inner();
    let tables = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384";
    let tables = bench.observer.query(tables, &[]).unwrap();
    let tables: Vec<&str> = tables.iter().map(|row| row.get(0)).collect();
    assert_eq!(tables, ["canary"]);
}

impl Bench {
    /// Makes the tables, in a schema that is new.
    fn create(&mut self, schema: &str, tables: &BTreeSet<String>) {
        // A case that failed has left it behind.
        self.drop(schema);
        execute(&mut self.observer, "CREATE SCHEMA %I", &[schema]);
        for table in tables {
            let names = [schema, table.as_str()];
            execute(&mut self.observer, "CREATE TABLE %I.%I ()", &names);
        }
    }

    fn drop(&mut self, schema: &str) {
        let drop = "DROP SCHEMA IF EXISTS %I CASCADE";
        execute(&mut self.observer, drop, &[schema]);
    }
}

/// Runs what the server's own `format` makes of a template and texts.
fn execute(client: &mut Client, template: &str, texts: &[&str]) {
    let format = "SELECT format($1, VARIADIC $2::text[])";
    let statement = client.query_one(format, &[&template, &texts]).unwrap();
    client.batch_execute(statement.get(0)).unwrap();
}

/// The answer of the server itself to a question with a text, `$1`.
fn ask(client: &mut Client, sql: &str, text: &str) -> String {
    client.query_one(sql, &[&text]).unwrap().get(0)
}

/// Strings are read in two ways, by a setting of the session.
fn read_strings_by_the_standard(client: &mut Client, standard: bool) {
    let set = format!("SET standard_conforming_strings = {standard}");
    client.batch_execute(&set).unwrap();
}

/// A schema and a table.
type Names = (String, String);

/// What that session has locked as a whole, as the server tells it.
fn locked(observer: &mut Client, pid: i32) -> BTreeSet<Names> {
    let rows = observer.query(
        "SELECT n.nspname::text, c.relname::text FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
         JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE l.pid = $1 AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted",
        &[&pid],
    );
    let rows = rows.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What that session has locked as a whole, as pglock tells it.
fn found(locks: Locks, pid: i32, client: &mut Client) -> BTreeSet<Names> {
    let locks = locks.pid([pid]).filter("mode=ACCESS_EXCLUSIVE").unwrap();
    let locks = locks.fetch(client).unwrap().into_iter();
    locks
        .map(|lock| (lock.schema.unwrap(), lock.rel_name.unwrap()))
        .collect()
}
