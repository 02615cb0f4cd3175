//! Names of tables and schemas.

use std::collections::BTreeSet;
use std::time::Duration;

use pglock::TableName;
use proptest::collection::btree_set;
use proptest::prelude::*;
use tokio_postgres::error::SqlState;

use crate::{
    Names, alike, execute, for_all, found, locked, name, read_strings_by_the_standard, text,
};

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
