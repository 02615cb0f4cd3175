//! Servers that say yes and take no lock. A real Postgres plays them: in one database its functions are replaced.

use pglock::{advisory, advisory_id};
use pglock_tests::{BOUND, OWN, TestDb, wait_until};

use crate::{acquire, assert_refused, handle, server};

/// Replaces what takes and releases advisory locks by functions that say yes, in `schema`.
fn lie(db: &TestDb, schema: &str) {
    db.execute(&format!(
        "SET allow_system_table_mods = on; DO $$ DECLARE f record; BEGIN \
         FOR f IN SELECT proname, pg_get_function_arguments(oid) AS arguments, prorettype::regtype AS returns FROM pg_proc \
           WHERE pronamespace = 'pg_catalog'::regnamespace AND proname LIKE 'pg%advisory%lock%' AND pronargs > 0 \
         LOOP EXECUTE format('CREATE OR REPLACE FUNCTION {schema}.%I(%s) RETURNS %s LANGUAGE sql AS %L', f.proname, f.arguments, \
           f.returns, CASE f.returns::text WHEN 'void' THEN 'SELECT' ELSE 'SELECT true' END); \
         END LOOP; END $$; RESET allow_system_table_mods"
    ));
}

#[test]
fn a_server_that_takes_no_locks_is_found_out() {
    let db = server().create_database();
    let here = handle(db.url());
    lie(&db, "pg_catalog");
    for xact in [false, true] {
        let error = acquire("lie", xact, &here).unwrap_err();
        assert_refused(&error, &["two sessions", "postgres server"]);
    }
    wait_until("no session of pglock's is left", BOUND, || {
        db.backends_named(OWN).is_empty()
    });
}

/// What doesn't show its locks may still take them.
#[test]
fn a_server_that_shows_no_locks_but_takes_them_is_not_accused() {
    let db = server().create_database();
    db.execute(
        "SET allow_system_table_mods = on; ALTER VIEW pg_catalog.pg_locks RENAME TO pg_all_locks; \
         CREATE VIEW pg_catalog.pg_locks AS SELECT * FROM pg_all_locks WHERE locktype <> 'advisory'; \
         GRANT SELECT ON pg_catalog.pg_locks TO public",
    );
    let here = handle(db.url());
    let guard = advisory("shy").using(&here).acquire().unwrap();
    assert!(
        advisory("shy")
            .using(&here)
            .try_acquire()
            .unwrap()
            .is_none()
    );
    guard.release().unwrap();
    let again = advisory("shy").using(&here).try_acquire().unwrap();
    again.expect("it was released").release().unwrap();
}

#[test]
fn a_server_that_lacks_what_postgres_has_is_refused() {
    let db = server().create_database();
    db.execute(
        "SET allow_system_table_mods = on; \
         ALTER FUNCTION pg_catalog.pg_is_in_recovery() RENAME TO pg_was_in_recovery",
    );
    let error = advisory("odd")
        .using(handle(db.url()))
        .acquire()
        .unwrap_err();
    assert_refused(&error, &["another database that shares the protocol"]);
    assert_eq!(error.sql_state().unwrap().code(), "42883");
}

#[test]
fn functions_of_the_same_names_in_the_search_path_are_not_called() {
    let db = server().create_database();
    db.execute("CREATE SCHEMA shadow");
    lie(&db, "shadow");
    db.execute(&format!(
        "ALTER DATABASE {} SET search_path = shadow, pg_catalog",
        db.name()
    ));
    let here = handle(db.url());
    for xact in [false, true] {
        let guard = acquire("real", xact, &here).unwrap();
        assert_eq!(db.held(advisory_id("real")), 1);
        let again = advisory("real").using(&here).try_acquire();
        assert!(again.unwrap().is_none());
        guard.release().unwrap();
        db.wait_for_no_locks();
    }
    let mut client = db.connect();
    let guard = advisory("real").on(&mut client).acquire().unwrap();
    assert_eq!(db.held(advisory_id("real")), 1);
    guard.release().unwrap();
    let mut tx = client.transaction().unwrap();
    assert!(advisory("real").try_acquire_xact(&mut tx).unwrap());
    assert_eq!(db.held(advisory_id("real")), 1);
}
