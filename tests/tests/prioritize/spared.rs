//! Sessions that are never signaled, with the reason in the report.

use std::time::{Duration, SystemTime};

use pglock::{BlockerAction, Cancel, Escalate, PrioritizeReport, Spared, Terminate};
use pglock_tests::{BOUND, Server, TestDb, database, wait_until};
use postgres::error::SqlState;

use crate::{
    Blocker, Busy, INTERVAL, ONE_POLL, SLEEP, here, in_background, is_alive, prioritize,
    wait_until_it_waits,
};

/// Waits for the advisory lock 1 as a section, with a timeout; what was reported.
pub(crate) fn try_for_it(db: &TestDb, prioritize: pglock::Prioritize) -> PrioritizeReport {
    let mut client = db.connect();
    let mut section = prioritize.timeout(8 * INTERVAL).on(&mut client).unwrap();
    let error = section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    assert_eq!(error.code(), Some(&SqlState::LOCK_NOT_AVAILABLE));
    section.finish().unwrap()
}

pub(crate) fn action(report: &PrioritizeReport) -> BlockerAction {
    match report.blockers() {
        [blocker] => blocker.action,
        _ => panic!("{report}"),
    }
}

#[test]
fn a_dry_run_signals_no_session_and_reports_which_it_would() {
    let db = database();
    let blocker = Busy::new(&db, "SELECT pg_advisory_lock(1)");
    for (side_effect, action_of_it) in [
        (
            prioritize(&db).side_effect(Terminate::new().dry_run(true)),
            BlockerAction::WouldTerminate,
        ),
        (
            prioritize(&db).side_effect(Cancel::new().dry_run(true)),
            BlockerAction::WouldCancel,
        ),
    ] {
        let report = try_for_it(&db, side_effect);
        assert_eq!(action(&report), action_of_it);
        assert_eq!(report.blockers()[0].pid, blocker.pid);
        assert!(report.signaled().is_empty());
    }
    let both = Escalate::new().after(INTERVAL).dry_run(true);
    let report = try_for_it(&db, prioritize(&db).side_effect(both));
    let actions: Vec<_> = report.blockers().iter().map(|it| it.action).collect();
    assert!(
        actions.starts_with(&[BlockerAction::WouldCancel]),
        "{actions:?}"
    );
    assert!(
        actions.contains(&BlockerAction::WouldTerminate),
        "{actions:?}"
    );
    assert!(is_alive(&db, blocker.pid));
    db.terminate(blocker.pid);
    blocker.was_terminated();
}

#[test]
fn applications_and_users_on_the_list_are_spared() {
    let db = database();
    let mut dump = Blocker::named(&db, "pg_dump", "SELECT pg_advisory_lock(1)");
    let spare = Terminate::new()
        .never_application("psql")
        .never_application("pg_dump");
    let report = try_for_it(&db, prioritize(&db).side_effect(spare));
    assert_eq!(action(&report), BlockerAction::Spared(Spared::Application));
    assert!(dump.is_alive());

    let user: String = db
        .connect()
        .query_one("SELECT current_user::text", &[])
        .unwrap()
        .get(0);
    let report = try_for_it(
        &db,
        prioritize(&db).side_effect(Terminate::new().never_user(user)),
    );
    assert_eq!(action(&report), BlockerAction::Spared(Spared::User));
    assert!(dump.is_alive());

    let spare = Terminate::new()
        .never_application("pg_dum")
        .never_user("pg'");
    let mut client = db.connect();
    let mut section = prioritize(&db).side_effect(spare).on(&mut client).unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [dump.pid]);
    dump.was_terminated();
}

#[test]
fn applications_are_spared_under_the_name_they_were_given() {
    let db = database();
    let long = "n".repeat(64);
    for name in [
        "Übernacht",
        "🦀 nachts, für alle Häuser",
        "tab\t",
        r#"a "b", {c\d}"#,
        &long,
    ] {
        let mut blocker = Blocker::named(&db, name, "SELECT pg_advisory_lock(1)");
        let spare = Terminate::new().never_application(name);
        let report = try_for_it(&db, prioritize(&db).side_effect(spare));
        let spared = BlockerAction::Spared(Spared::Application);
        assert_eq!(action(&report), spared, "{name:?}");
        assert!(blocker.is_alive());
        drop(blocker);
        wait_until("its lock is gone", BOUND, || db.held(1) == 0);
    }
}

#[test]
fn filters_choose_which_sessions_are_signaled() {
    let db = database();
    let mut idler = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    for filtered in [
        Terminate::new()
            .filter("blocking_activity__state=ACTIVE")
            .unwrap(),
        Terminate::new()
            .exclude("blocking_activity__application_name=blocker")
            .unwrap(),
        Terminate::new().blocking_duration_gte(Duration::from_secs(60)),
        Terminate::new().blocking_duration_gte(Duration::MAX),
        Terminate::new()
            .filter("wait_duration__gte=1 hour")
            .unwrap(),
    ] {
        let report = try_for_it(&db, prioritize(&db).side_effect(filtered));
        assert_eq!(action(&report), BlockerAction::Spared(Spared::Filter));
        assert!(idler.is_alive());
    }
    assert!(
        Terminate::new()
            .filter("colour=red")
            .unwrap_err()
            .is_config()
    );
    let long = Terminate::new()
        .blocking_duration_gte(INTERVAL / 2)
        .filter("blocking_activity__state=IDLE")
        .unwrap();
    let mut client = db.connect();
    let mut section = prioritize(&db).side_effect(long).on(&mut client).unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [idler.pid]);
    idler.was_terminated();
}

#[test]
fn sections_and_locks_of_this_process_are_spared() {
    let db = database();
    let guard = pglock::advisory(1).using(here(&db)).acquire().unwrap();
    let report = try_for_it(&db, prioritize(&db));
    assert_eq!(action(&report), BlockerAction::Spared(Spared::Own));
    guard.check().unwrap();
    guard.release().unwrap();

    let mut other = db.connect();
    let mut other = prioritize(&db).on(&mut other).unwrap();
    other.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let report = try_for_it(&db, prioritize(&db));
    assert_eq!(action(&report), BlockerAction::Spared(Spared::Own));
    other.batch_execute("SELECT 1").unwrap();
}

#[test]
fn a_prepared_transaction_is_reported_and_nothing_fails() {
    let server = Server::builder()
        .setting("max_prepared_transactions", "2")
        .start();
    let db = server.create_database();
    let mut blocker = Blocker::new(
        &db,
        "BEGIN; SELECT pg_advisory_xact_lock(1); PREPARE TRANSACTION 'forgotten'",
    );
    let report = try_for_it(&db, prioritize(&db));
    assert_eq!(report.blockers()[0].pid, 0);
    assert_eq!(
        action(&report),
        BlockerAction::Spared(Spared::PreparedTransaction)
    );
    blocker.execute("ROLLBACK PREPARED 'forgotten'").unwrap();
}

/// A connection of another role, and the handle for its watcher.
pub(crate) fn as_role(db: &TestDb, role: &str) -> (postgres::Client, pglock::Database) {
    let mut config: tokio_postgres::Config = db.url().parse().unwrap();
    config.user(role);
    let client = postgres::Config::from(config.clone())
        .connect(postgres::NoTls)
        .unwrap();
    (client, pglock::Database::builder(config).build().unwrap())
}

#[test]
fn missing_privileges_are_reported_and_nothing_fails() {
    let server = Server::start();
    let db = server.create_database();
    db.execute("CREATE ROLE worker LOGIN; CREATE ROLE signaler LOGIN IN ROLE pg_signal_backend");
    let superuser_blocks = Blocker::new(&db, "SELECT pg_advisory_lock(1)");
    for role in ["worker", "signaler"] {
        let (mut client, database) = as_role(&db, role);
        let mut section = pglock::prioritize()
            .interval(INTERVAL)
            .using(&database)
            .timeout(3 * INTERVAL)
            .on(&mut client)
            .unwrap();
        section
            .batch_execute("SELECT pg_advisory_lock(1)")
            .unwrap_err();
        let report = section.finish().unwrap();
        assert_eq!(action(&report), BlockerAction::Spared(Spared::Denied));
    }
    drop(superuser_blocks);

    // Of a role without privileges: one that may signal it does so, though it sees neither its start nor its kind.
    let (mut blocker, _) = as_role(&db, "worker");
    blocker.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let (mut client, database) = as_role(&db, "signaler");
    let mut section = pglock::prioritize()
        .interval(INTERVAL)
        .using(&database)
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let report = section.finish().unwrap();
    assert_eq!(action(&report), BlockerAction::Terminated);
    blocker.batch_execute("SELECT 1").unwrap_err();
}

#[test]
fn names_that_postgres_truncates_are_recognized() {
    let db = database();
    let name = "a".repeat(70);
    let mut dump = Blocker::named(&db, &name, "SELECT pg_advisory_lock(1)");
    let spare = Terminate::new().never_application(name);
    let report = try_for_it(&db, prioritize(&db).side_effect(spare));
    assert_eq!(action(&report), BlockerAction::Spared(Spared::Application));
    assert!(dump.is_alive());
}

#[test]
fn names_that_are_not_ascii_are_recognized() {
    let db = database();
    let mut dump = Blocker::named(&db, "sauvegarde d’été", "SELECT pg_advisory_lock(1)");
    let spare = Terminate::new().never_application("sauvegarde d’été");
    let report = try_for_it(&db, prioritize(&db).side_effect(spare));
    assert_eq!(action(&report), BlockerAction::Spared(Spared::Application));
    assert!(dump.is_alive());
}

#[test]
fn a_bystander_who_waits_too_is_left_alone() {
    let db = database();
    let blocker = Blocker::new(&db, "SELECT pg_advisory_lock(1), pg_advisory_lock(2)");
    let (pid, bystander) = in_background(&db, |client| {
        client.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    });
    wait_until_it_waits(&db, pid);
    let mut client = db.connect();
    let mut section = prioritize(&db).on(&mut client).unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [blocker.pid]);
    bystander.join().unwrap();
}

/// It was reported as canceled, and `Escalate` waited for the grace period in vain.
#[test]
fn an_idler_has_nothing_to_cancel_and_is_terminated_at_once_when_escalated() {
    for statements in [
        "SELECT pg_advisory_lock(1)",
        "BEGIN; SELECT pg_advisory_xact_lock(1)",
    ] {
        let db = database();
        let mut blocker = Blocker::new(&db, statements);
        let report = try_for_it(&db, prioritize(&db).side_effect(Cancel));
        assert_eq!(action(&report), BlockerAction::Spared(Spared::Idle));
        assert!(report.signaled().is_empty() && blocker.is_alive());

        let mut client = db.connect();
        let patient = Escalate::new().after(Duration::from_secs(3600));
        let mut section = prioritize(&db)
            .side_effect(patient)
            .on(&mut client)
            .unwrap();
        section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
        let report = section.finish().unwrap();
        assert_eq!(action(&report), BlockerAction::Terminated);
        assert_eq!(report.blockers().len(), 1, "{report}");
        blocker.was_terminated();
    }
}

#[test]
fn one_that_is_canceled_and_goes_on_blocking_is_terminated_after_the_grace_period() {
    let db = database();
    let blocker = Busy::new(&db, "SELECT pg_advisory_lock(1)");
    let grace = 5 * INTERVAL;
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(Escalate::new().after(grace))
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    let report = section.finish().unwrap();
    let actions: Vec<_> = report.blockers().iter().map(|it| it.action).collect();
    assert_eq!(
        actions,
        [
            BlockerAction::Canceled,
            BlockerAction::Spared(Spared::Grace),
            BlockerAction::Terminated
        ]
    );
    let blockers = report.blockers();
    assert!(blockers[2].at.duration_since(blockers[0].at).unwrap() >= grace);
    blocker.was_terminated();
}

/// Waits until the watcher has begun and ended a statement that signals, or spares.
fn wait_for_the_watcher(db: &TestDb) {
    let mut client = db.connect();
    let now: SystemTime = client
        .query_one("SELECT clock_timestamp()", &[])
        .unwrap()
        .get(0);
    let judged = "SELECT FROM pg_stat_activity WHERE datname = current_database() \
                  AND state = 'idle' AND query LIKE 'WITH me AS %' AND query_start > $1";
    wait_until("it polls", BOUND, || {
        !client.query(judged, &[&now]).unwrap().is_empty()
    });
}

#[test]
fn one_that_idles_after_it_was_canceled_has_its_grace_period() {
    let db = database();
    let (canceled, was_canceled) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let (pid, blocker) = in_background(&db, move |client| {
        client.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
        client.batch_execute(SLEEP).unwrap_err();
        canceled.send(()).unwrap();
        may_go_on.recv_timeout(BOUND).unwrap();
        client
            .batch_execute("SELECT pg_advisory_unlock(1)")
            .unwrap();
    });
    let mut client = db.connect();
    let patient = Escalate::new().after(Duration::from_secs(3600));
    let mut section = prioritize(&db)
        .side_effect(patient)
        .on(&mut client)
        .unwrap();
    wait_until("it sleeps", BOUND, || db.statement_of(pid) == SLEEP);
    let report = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
            section.finish().unwrap()
        });
        was_canceled.recv_timeout(BOUND).unwrap();
        // While it idles.
        wait_for_the_watcher(&db);
        go_on.send(()).unwrap();
        waiting.join().unwrap()
    });
    let actions: Vec<_> = report.blockers().iter().map(|it| it.action).collect();
    assert_eq!(
        actions,
        [
            BlockerAction::Canceled,
            BlockerAction::Spared(Spared::Grace)
        ]
    );
    blocker.join().unwrap();
}

#[test]
fn one_poll_is_enough_to_escalate() {
    let db = database();
    let blocker = Busy::new(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .interval(ONE_POLL)
        .periodic(false)
        .side_effect(Escalate::new().after(2 * INTERVAL))
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    section.finish().unwrap();
    blocker.was_terminated();
}

#[test]
fn one_poll_is_enough_to_escalate_without_a_grace_time() {
    let db = database();
    let blocker = Busy::new(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .interval(ONE_POLL)
        .periodic(false)
        .side_effect(Escalate::new().after(Duration::ZERO))
        .timeout(20 * INTERVAL)
        .on(&mut client)
        .unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    section.finish().unwrap();
    blocker.was_terminated();
}

#[test]
fn a_blocker_that_returns_gets_a_new_grace_time() {
    let db = database();
    let grace = 20 * INTERVAL;
    let blocker = Busy::running(
        &db,
        [
            "SELECT pg_advisory_lock(1)",
            SLEEP,
            SLEEP,
            "SELECT pg_advisory_unlock(1), pg_advisory_lock(2)",
            SLEEP,
            SLEEP,
        ],
    );
    let mut client = db.connect();
    let mut section = prioritize(&db)
        .side_effect(Escalate::new().after(grace))
        .on(&mut client)
        .unwrap();
    section.batch_execute("SET lock_timeout = '1s'").unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    assert_eq!(section.report().unwrap().signaled(), [blocker.pid]);
    blocker.next(&db);
    section.batch_execute("SELECT pg_sleep(2.5)").unwrap();
    wait_until("it returns", BOUND, || db.held(2) == 1);
    blocker.wait_until_it_sleeps(&db);
    section
        .batch_execute("SELECT pg_advisory_lock(2)")
        .unwrap_err();
    section.finish().unwrap();
    blocker.next(&db);
    blocker.was_not_terminated();
}

#[test]
fn a_statement_that_runs_is_canceled_and_its_session_lives() {
    let db = database();
    let (pid, blocker) = in_background(&db, |client| {
        let error = client
            .batch_execute("BEGIN; SELECT pg_advisory_xact_lock(1); SELECT pg_sleep(60)")
            .unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED));
        client.batch_execute("ROLLBACK; SELECT 1").unwrap();
    });
    wait_until("it holds", BOUND, || db.held(1) == 1);
    let mut client = db.connect();
    let mut section = prioritize(&db).side_effect(Cancel).on(&mut client).unwrap();
    section.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
    assert_eq!(section.finish().unwrap().signaled(), [pid]);
    blocker.join().unwrap();
}
