//! Whatever is set in the database, and whoever has put functions there, the watcher works.

use pglock::{ErrorKind, Terminate};
use pglock_tests::{TestDb, database};

use crate::{Blocker, INTERVAL, prioritize};

/// A blocker is terminated, found by filters of every kind.
fn it_works(db: &TestDb) {
    let blocker = Blocker::new(db, "SELECT pg_advisory_lock(1)");
    let side_effect = Terminate::new()
        .blocking_duration_gte(INTERVAL / 2)
        .filter("blocking_activity__state=IDLE")
        .unwrap()
        .filter("blocking_activity__application_name__istartswith=BLOCK")
        .unwrap()
        .exclude("blocking_activity__query__icontains=pg_dump")
        .unwrap()
        .never_application("pg_dump");
    let mut client = db.connect();
    let mut section = prioritize(db)
        .side_effect(side_effect)
        .on(&mut client)
        .unwrap();
    section.batch_execute("SET lock_timeout = '20s'").unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
    blocker.was_terminated();
}

#[test]
fn odd_settings() {
    let db = database();
    for setting in [
        "standard_conforming_strings = off",
        "default_transaction_isolation = serializable",
        "statement_timeout = '5s'",
        "lock_timeout = '2s'",
        "idle_session_timeout = '1s'",
        "\"DateStyle\" = 'SQL, DMY'",
        "\"IntervalStyle\" = 'sql_standard'",
        "\"TimeZone\" = 'Asia/Kolkata'",
        "search_path = ''",
        "default_transaction_read_only = on",
    ] {
        db.execute(&format!("ALTER DATABASE \"{}\" SET {setting}", db.name()));
    }
    it_works(&db);
}

#[test]
fn functions_that_fit_better_than_those_of_postgres_are_not_called() {
    let db = database();
    for (name, arguments, result) in [
        ("unnest", "int4[]", "SETOF int4"),
        ("pg_has_role", "text, text", "bool"),
        ("upper", "name", "text"),
        ("replace", "text, text, varchar", "text"),
        ("host", "cidr", "text"),
        ("pg_terminate_backend", "int4", "bool"),
    ] {
        db.execute(&format!(
            "CREATE FUNCTION public.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql \
             AS $$ BEGIN RAISE 'it is not the one of Postgres'; END $$"
        ));
    }
    db.execute(
        "CREATE FUNCTION public.times(numeric, int4) RETURNS numeric LANGUAGE plpgsql \
         AS $$ BEGIN RAISE 'it is not the one of Postgres'; END $$; \
         CREATE OPERATOR public.* (LEFTARG = numeric, RIGHTARG = int4, FUNCTION = public.times)",
    );
    it_works(&db);
}

#[test]
fn functions_found_before_those_of_postgres_are_not_called() {
    let db = database();
    for (name, arguments, result) in [
        ("pg_backend_pid", "", "int4"),
        ("pg_stat_clear_snapshot", "", "void"),
        ("pg_blocking_pids", "int4", "int4[]"),
        ("current_database", "", "name"),
    ] {
        db.execute(&format!(
            "CREATE FUNCTION public.{name}({arguments}) RETURNS {result} LANGUAGE plpgsql \
             AS $$ BEGIN RAISE 'it is not the one of Postgres'; END $$"
        ));
    }
    let mut client = db.connect();
    client
        .batch_execute(
            "SET search_path = public, pg_catalog; CREATE TEMPORARY TABLE pg_stat_activity (pid int)",
        )
        .unwrap();
    let section = prioritize(&db).on(&mut client).unwrap();
    section.finish().unwrap();
}

#[test]
fn a_filter_that_the_server_refuses_is_an_error_at_the_end() {
    let db = database();
    let mut blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    for filter in [
        "blocking_activity__query__regex=(",
        "blocking_activity__duration__gte=soon",
    ] {
        let mut client = db.connect();
        let mut section = prioritize(&db)
            .side_effect(Terminate::new().filter(filter).unwrap())
            .timeout(3 * INTERVAL)
            .on(&mut client)
            .unwrap();
        section
            .batch_execute("SELECT pg_advisory_lock(1)")
            .unwrap_err();
        let error = section.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Database, "{error}");
        assert!(blocker.is_alive());
    }
}
