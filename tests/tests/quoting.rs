//! Whatever text a caller passes, it stays a value or a name: none becomes a part of a statement, and none panics. Shown
//! on a real server, which quotes, compares and hashes the same texts by its own functions.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use pglock::{Database, Error, LockId, Locks, TableName};
use pglock_tests::{Key, TestDb, database};
use postgres::Client;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::TestRunner;
use tokio_postgres::error::SqlState;

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

#[test]
fn a_table_of_any_name_is_locked_and_no_other() {
    let inputs = (
        name(),
        btree_set(name(), 1..3),
        btree_set(name(), 0..3),
        any::<(bool, bool)>(),
    );
    for_all(
        100,
        inputs,
        |bench, (schema, wanted, others, (as_text, standard))| {
            let mut tables = others;
            tables.extend(wanted.iter().flat_map(|name| alike(name)));
            tables.extend(wanted.iter().cloned());
            bench.create(&schema, &tables);
            for client in [&mut bench.holder, &mut bench.client] {
                read_strings_by_the_standard(client, standard);
                execute(client, "SET search_path = %I", &[&schema]);
            }
            let name = |table: &String| match (as_text, schema.contains('.'), table.contains('.')) {
                (true, _, false) => TableName::from(table.as_str()),
                (true, false, true) => TableName::from(format!("{schema}.{table}")),
                _ => TableName::from((schema.as_str(), table.as_str())),
            };
            let names: Vec<TableName> = wanted.iter().map(name).collect();
            let wanted = wanted.into_iter().map(|table| (schema.clone(), table));
            let wanted: BTreeSet<Names> = wanted.collect();

            let mut held = bench.holder.transaction().unwrap();
            pglock::tables(names.clone()).lock(&mut held).unwrap();
            assert_eq!(locked(&mut bench.observer, bench.holder_pid), wanted);
            let locks = pglock::locks().on(names.clone());
            assert_eq!(found(locks, bench.holder_pid, &mut bench.client), wanted);

            let mut tx = bench.client.transaction().unwrap();
            let tables = pglock::tables(names);
            let at_once = tables.clone().timeout(Duration::ZERO);
            let busy = at_once.lock(&mut tx).unwrap_err();
            let holder = busy.holder().map(|holder| holder.pid);
            assert_eq!(holder, Some(bench.holder_pid), "{busy}");
            held.rollback().unwrap();
            assert!(tables.try_lock(&mut tx).unwrap());
            tx.rollback().unwrap();
            bench.drop(&schema);
        },
    );
}

#[test]
fn what_is_not_a_table_is_refused_and_nothing_else_happens() {
    let inputs = (prop::option::of(text()), text());
    for_all(200, inputs, |bench, (schema, table)| {
        // A text is a schema and a table where it has a dot.
        let parts = match (&schema, table.split_once('.')) {
            (Some(schema), _) => vec![schema.as_str(), &table],
            (None, Some((schema, table))) => vec![schema, table],
            (None, None) => vec![table.as_str()],
        };
        let is_name = |part: &&str| (1..64).contains(&part.len()) && !part.contains('\0');
        let are_names = parts.iter().all(is_name);
        let name = match schema {
            Some(schema) => TableName::from((schema, table)),
            None => TableName::from(table),
        };
        let mut tx = bench.client.transaction().unwrap();
        for refused in [
            pglock::table(name.clone()).lock(&mut tx).unwrap_err(),
            pglock::table(name.clone()).try_lock(&mut tx).unwrap_err(),
        ] {
            let states = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME];
            let unknown = refused.sql_state().is_some_and(|it| states.contains(it));
            assert_eq!(unknown, are_names, "{refused:?}");
            assert!(refused.is_config(), "{refused:?}");
        }
        let refused = pglock::locks().on([name.clone()]).fetch(&mut tx);
        let refused = refused.unwrap_err();
        assert!(refused.is_config(), "{refused:?}");
        assert!(refused.to_string().contains(&name.to_string()), "{refused}");
        // The transaction goes on.
        assert!(pglock::table("canary").try_lock(&mut tx).unwrap());
    });
}

/// Whether a name matches, by other means than pglock's; letters are made upper by the server.
fn matches(lookup: &str, name: &str, value: &str, observer: &mut Client) -> bool {
    if let Some(lookup) = lookup.strip_prefix('i').filter(|it| *it != "n") {
        let mut upper = |text| ask(observer, "SELECT upper($1)", text);
        let (name, value) = (upper(name), upper(value));
        return matches(lookup, &name, &value, observer);
    }
    match lookup {
        "exact" => name == value,
        "in" => value.split(',').any(|value| name == value),
        "contains" => name.contains(value),
        "startswith" => name.starts_with(value),
        "endswith" => name.ends_with(value),
        _ => panic!("{lookup}"),
    }
}

#[test]
fn a_filter_finds_what_has_its_value_and_exclude_the_rest() {
    let lookups = [
        "exact",
        "in",
        "contains",
        "startswith",
        "endswith",
        "iexact",
        "icontains",
        "istartswith",
        "iendswith",
    ];
    let inputs = (
        (select(lookups.to_vec()), btree_set(name(), 2..4)),
        any::<(Index, Index, Index)>(),
        text(),
        any::<bool>(),
    );
    for_all(
        150,
        inputs,
        |bench, ((lookup, names), (which, from, to), any, standard)| {
            let one = names.first().unwrap().clone();
            let mut tables = names;
            tables.extend(alike(&one));
            bench.create("odd", &tables);
            let tables: BTreeSet<Names> = tables
                .into_iter()
                .map(|table| ("odd".to_owned(), table))
                .collect();
            let mut held = bench.holder.transaction().unwrap();
            pglock::tables(tables.clone()).lock(&mut held).unwrap();

            // The value is one of the names, a part of it, or anything.
            let letters: Vec<char> = one.chars().collect();
            let (from, to) = (from.index(letters.len()), to.index(letters.len()));
            let part = letters[from.min(to)..=from.max(to)].iter().collect();
            let value = which.get(&[one, part, any.replace('\0', "")]).clone();
            let observer = &mut bench.observer;
            let (with, without): (BTreeSet<Names>, BTreeSet<Names>) = tables
                .into_iter()
                .partition(|(_, table)| matches(lookup, table, &value, observer));

            read_strings_by_the_standard(&mut bench.client, standard);
            let filter = format!("rel_name__{lookup}={value}");
            let mut found = |locks: Result<Locks, Error>| {
                found(locks.unwrap(), bench.holder_pid, &mut bench.client)
            };
            assert_eq!(found(pglock::locks().filter(&filter)), with, "{filter:?}");
            assert_eq!(
                found(pglock::locks().exclude(&filter)),
                without,
                "{filter:?}"
            );
            held.rollback().unwrap();
            bench.drop("odd");
        },
    );
}

#[test]
fn a_session_is_found_by_whatever_it_calls_itself_and_says() {
    for_all(80, text(), |bench, text| {
        let text = text.replace('\0', "");
        let lock = "SELECT pg_advisory_unlock_all(), pg_advisory_lock(1)";
        bench.holder.batch_execute(lock).unwrap();
        let set = "SELECT set_config('application_name', $1, false)";
        ask(&mut bench.holder, set, &text);
        // What others see of it: 63 bytes, which a byte outside of ASCII takes one of up to Postgres 15,
        // as `?`, and four of from 16 on, as `\xc3`.
        let kept = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let kept: String = bench.holder.query_one(kept, &[]).unwrap().get(0);
        let said = "SELECT format('SELECT %L', $1::text)";
        let said = ask(&mut bench.holder, said, &text);
        bench.holder.batch_execute(&said).unwrap();
        for (field, value) in [("application_name", &kept), ("query", &said)] {
            let filter = format!("activity__{field}={value}");
            let mut count = |locks: Result<Locks, Error>| {
                let locks = locks.unwrap().filter("kind=ADVISORY").unwrap();
                let locks = locks.pid([bench.holder_pid]);
                locks.fetch(&mut bench.client).unwrap().len()
            };
            assert_eq!(count(pglock::locks().filter(&filter)), 1, "{filter:?}");
            assert_eq!(count(pglock::locks().exclude(&filter)), 0, "{filter:?}");
            let unlike = format!("{filter}'");
            assert_eq!(count(pglock::locks().filter(&unlike)), 0, "{unlike:?}");
        }
    });
}

/// The key of a name by the server's own hash.
fn key_of(observer: &mut Client, name: &str) -> Key {
    let hash = "SELECT substring(sha256($1) FOR 8)";
    let hash = observer.query_one(hash, &[&name.as_bytes()]).unwrap();
    let hash: Vec<u8> = hash.get(0);
    Key::from(i64::from_le_bytes(hash.try_into().unwrap()))
}

#[test]
fn a_lock_of_any_name_is_the_one_of_its_hash() {
    let inputs = (text(), any::<i64>(), any::<(i32, i32)>());
    for_all(60, inputs, |bench, (name, number, pair)| {
        let own = Database::builder(bench.db.url()).build().unwrap();
        let mut ids = vec![
            (LockId::from(number), Key::from(number)),
            (LockId::from(pair), Key::from(pair)),
        ];
        if name.is_empty() {
            let nameless = pglock::advisory(name).on(&mut bench.client).acquire();
            assert!(nameless.unwrap_err().is_config());
        } else {
            let key = key_of(&mut bench.observer, &name);
            assert_eq!(Key::from(pglock::advisory_id(name.as_str())), key);
            ids.push((LockId::from(name), key));
        }
        for (id, key) in ids {
            let advisory = || pglock::advisory(id.clone());
            let guard = advisory().on(&mut bench.holder).acquire().unwrap();
            let locks = bench.db.advisory_locks();
            let locks: Vec<_> = locks.iter().map(|lock| (lock.key, lock.pid)).collect();
            assert_eq!(locks, [(key, bench.holder_pid)]);
            let mut tx = bench.client.transaction().unwrap();
            let at_once = advisory().timeout(Duration::ZERO);
            let busy = at_once.acquire_xact(&mut tx).unwrap_err();
            assert!(busy.to_string().contains(&id.to_string()), "{busy}");
            let holder = busy.holder().map(|holder| holder.pid);
            assert_eq!(holder, Some(bench.holder_pid), "{busy}");
            tx.rollback().unwrap();
            guard.release().unwrap();
            let guard = advisory().using(&own).acquire().unwrap();
            assert_eq!(bench.db.held(key), 1);
            guard.release().unwrap();
        }
    });
}

/// What an error says is valid.
fn listed(error: &Error) -> Vec<String> {
    let text = error.to_string();
    let (_, list) = text.rsplit_once(" are ").unwrap();
    list.split(", ").map(str::to_owned).collect()
}

/// Every field with its lookups.
fn fields() -> Vec<(String, Vec<String>)> {
    let fields = listed(&pglock::blocked_locks().filter("?=").unwrap_err());
    assert!(fields.len() > 40, "{fields:?}");
    let with_lookups = |field: String| {
        // `kind` has a second name, which is told behind it.
        let field = field.trim_end_matches(" (or type)").to_owned();
        let error = pglock::blocked_locks().filter(format!("{field}__?="));
        let lookups = listed(&error.unwrap_err());
        assert!(lookups.len() >= 3, "{lookups:?}");
        (field, lookups)
    };
    fields.into_iter().map(with_lookups).collect()
}

/// What a field may hold, of each kind.
const VALUES: [&str; 11] = [
    "1",
    "True",
    "1 second",
    "1,2",
    "1 second,1 second",
    "2030-01-01",
    "2030-01-01,2030-01-01",
    "ADVISORY",
    "SHARE",
    "TABLE",
    "ACTIVE",
];

/// Refuses answers which mean that the server was asked something that is no SQL, or something else than was meant.
#[track_caller]
fn assert_was_a_statement(filter: &str, error: &Error) {
    let state = error.sql_state().expect(filter).code();
    let no_text = SqlState::CHARACTER_NOT_IN_REPERTOIRE.code();
    assert!(
        !state.starts_with("42") && state != no_text,
        "{filter:?}: {error:?}"
    );
}

#[test]
fn every_field_has_an_sql_for_every_lookup() {
    let db = database();
    let mut client = db.connect();
    for (field, lookups) in fields() {
        for lookup in lookups {
            let works = VALUES.iter().any(|value| {
                let filter = format!("{field}__{lookup}={value}");
                let Ok(locks) = pglock::blocked_locks().filter(&filter) else {
                    return false;
                };
                let answer = locks.fetch(&mut client);
                if let Err(error) = &answer {
                    assert_was_a_statement(&filter, error);
                }
                answer.is_ok()
            });
            assert!(works, "{field}__{lookup}");
        }
    }
}

/// Texts that begin like filters, and others.
fn filter() -> impl Strategy<Value = String> {
    let keys: Vec<(String, String)> = fields()
        .into_iter()
        .flat_map(|(field, lookups)| lookups.into_iter().map(move |it| (field.clone(), it)))
        .collect();
    let valid = || select(keys.clone());
    let key = prop_oneof![
        6 => valid().prop_map(|(field, lookup)| format!("{field}__{lookup}")),
        1 => (valid(), text()).prop_map(|((field, _), text)| format!("{field}__{text}")),
        1 => (valid(), text()).prop_map(|((_, lookup), text)| format!("{text}__{lookup}")),
        1 => text(),
    ];
    let value = prop_oneof![text(), select(&VALUES[..]).prop_map(str::to_owned)];
    prop_oneof![
        9 => (key, value).prop_map(|(key, value)| format!("{key}={value}")),
        1 => text(),
    ]
}

/// Whether the error says what to write instead.
fn says_what_is_valid(filter: &str, said: &str, fields: &[(String, Vec<String>)]) -> bool {
    let Some((key, _)) = filter.split_once('=') else {
        return said.contains("write `field=value`");
    };
    let key = key.trim();
    let of = |field: &String| key == field || key.starts_with(&format!("{field}__"));
    match fields.iter().find(|(field, _)| of(field)) {
        None => fields.iter().all(|(field, _)| said.contains(field)),
        Some(_) if said.contains(" not a lookup ") => {
            let (_, lookups) = fields.iter().rfind(|(field, _)| of(field)).unwrap();
            lookups.iter().all(|lookup| said.contains(lookup))
        }
        Some(_) => said.contains(&format!("{key:?}")) && said.contains("value"),
    }
}

#[test]
fn a_filter_runs_or_is_refused_with_what_is_valid() {
    let fields = fields();
    let inputs = (filter(), any::<(bool, bool)>());
    for_all(400, inputs, |bench, (filter, (exclude, end))| {
        let locks = if exclude {
            pglock::blocked_locks().exclude(&filter)
        } else {
            pglock::blocked_locks().filter(&filter)
        };
        let answer = match locks {
            Ok(locks) if end => locks
                .terminate_blocking_activity(&mut bench.client)
                .map(drop),
            Ok(locks) => locks.fetch(&mut bench.client).map(drop),
            Err(refused) => {
                assert!(refused.is_config(), "{filter:?}: {refused:?}");
                let said = refused.to_string();
                let valid = says_what_is_valid(&filter, &said, &fields);
                assert!(valid, "{filter:?}: {said}");
                Ok(())
            }
        };
        if let Err(error) = answer {
            assert_was_a_statement(&filter, &error);
        }
    });
}

#[test]
fn a_file_of_any_text_is_read_or_refused() {
    let words = [
        "[configs.a]\n",
        "configs.a.filters = [",
        "\"granted=True\"",
        "on = [\"",
        "\"]\n",
        "pids = [1, ",
        "limit = 1\n",
        "database = \"postgres://app:secret@db/app\"\n",
        "\n",
        "]\n",
    ];
    let words = select(words.to_vec()).prop_map(str::to_owned);
    let inputs = vec(prop_oneof![3 => words, 1 => text()], 0..8);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("any.toml");
    for_all(400, inputs, |bench, words| {
        let text = words.concat();
        std::fs::write(&file, &text).unwrap();
        match pglock::blocked_locks().config_from(&file, "a") {
            Err(refused) => {
                assert!(refused.is_config(), "{text:?}: {refused:?}");
                assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
            }
            Ok(locks) => match locks.fetch(&mut bench.client) {
                // Tables that are none.
                Err(error) if error.is_config() => {}
                Err(error) => assert_was_a_statement(&text, &error),
                Ok(_) => {}
            },
        }
    });
}
