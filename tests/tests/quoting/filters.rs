//! Filters of locks, and the files that name them.

use std::collections::BTreeSet;

use pglock::{Error, Locks};
use pglock_tests::database;
use postgres::Client;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tokio_postgres::error::SqlState;

use crate::{Names, alike, ask, for_all, found, name, read_strings_by_the_standard, text};

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
