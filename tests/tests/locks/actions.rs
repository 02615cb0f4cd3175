//! Canceling and ending the sessions behind locks: the right ones, and no others.

use pglock::{Blocker, BlockerAction, Spared};
use pglock_tests::{BOUND, Child, Server, TestDb, child, database, wait_until};
use postgres::{Client, Config, NoTls};

use crate::{NOBODY, Waiter, pid_of};

fn is_alive(db: &TestDb, pid: i32) -> bool {
    let mut client = db.connect();
    let rows = client.query("SELECT FROM pg_stat_activity WHERE pid = $1", &[&pid]);
    !rows.unwrap().is_empty()
}

fn wait_until_gone(db: &TestDb, pid: i32) {
    wait_until("it is gone", BOUND, || !is_alive(db, pid));
}

fn holder(db: &TestDb, statement: &str) -> (Client, i32) {
    let mut client = db.connect_as("holder");
    let pid = pid_of(&mut client);
    client.batch_execute(statement).unwrap();
    (client, pid)
}

#[test]
fn the_sessions_of_the_rows_are_canceled_and_no_others() {
    let db = database();
    let (_holder, holder) = holder(&db, "SELECT pg_advisory_lock(1), pg_advisory_lock(2)");
    let one = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let other = Waiter::start(&db, "SELECT pg_advisory_lock(2)");
    let mut client = db.connect();
    let waiting = pglock::locks().granted(false).filter("objid=1").unwrap();
    assert_eq!(waiting.cancel_activity(&mut client).unwrap(), [one.pid]);
    one.was_canceled();
    assert_eq!(db.blocked_pids(), [other.pid]);
    let limited = pglock::locks().granted(false).limit(0);
    assert_eq!(limited.terminate_activity(&mut client).unwrap(), NOBODY);
    assert!(is_alive(&db, holder));
    db.terminate(holder);
    other.finish();
}

#[test]
fn the_sessions_of_the_rows_are_ended() {
    let db = database();
    let (_one, one) = holder(&db, "SELECT pg_advisory_lock(1)");
    let (_other, other) = holder(&db, "SELECT pg_advisory_lock(1, 1)");
    let mut client = db.connect();
    let locks = pglock::locks().filter("objsubid=2").unwrap();
    assert_eq!(locks.terminate_activity(&mut client).unwrap(), [other]);
    wait_until_gone(&db, other);
    assert!(is_alive(&db, one));
}

#[test]
fn blockers_are_ended_all_of_them() {
    let db = database();
    let (_one, one) = holder(&db, "SELECT pg_advisory_lock_shared(1)");
    let (_other, other) = holder(&db, "SELECT pg_advisory_lock_shared(1)");
    let (_bystander, bystander) = holder(&db, "SELECT pg_advisory_lock(2)");
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let mut expected = [one, other];
    expected.sort_unstable();

    // They idle, so there is nothing to cancel. They were counted.
    let blocked = pglock::blocked_locks().pid([waiter.pid]);
    let canceled = blocked.clone().cancel_blocking_activity(&mut client);
    assert_eq!(canceled.unwrap(), NOBODY);
    let report = blocked.clone().report();
    let report = report.cancel_blocking_activity(&mut client).unwrap();
    let idle = BlockerAction::Spared(Spared::Idle);
    assert!(report.iter().all(|session| session.action == idle));
    assert_eq!(report.len(), 2);
    assert_eq!(db.blocked_pids(), [waiter.pid]);

    let none = blocked.clone().filter("wait_duration__gte=1 hour").unwrap();
    assert_eq!(
        none.terminate_blocking_activity(&mut client).unwrap(),
        NOBODY
    );
    let killed = blocked.terminate_blocking_activity(&mut client).unwrap();
    assert_eq!(killed, expected);
    waiter.finish();
    assert!(is_alive(&db, bystander));
}

#[test]
fn a_blocker_that_runs_a_statement_is_canceled() {
    let db = database();
    db.execute("CREATE TABLE orders ()");
    let (_holder, first) = holder(&db, "BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE");
    let middle = Waiter::start(&db, "LOCK TABLE orders; SELECT 1");
    let last = Waiter::start(&db, "SELECT FROM orders");
    let mut client = db.connect();
    let blocked = pglock::blocked_locks()
        .on(["orders"])
        .filter("blocking_activity__state=ACTIVE")
        .unwrap();
    let canceled = blocked.cancel_blocking_activity(&mut client).unwrap();
    assert_eq!(canceled, [middle.pid]);
    middle.was_canceled();
    last.finish();
    assert!(is_alive(&db, first));
}

#[test]
fn our_own_session_is_spared_unless_asked() {
    let db = database();
    let mut client = db.connect();
    let pid = pid_of(&mut client);
    client
        .batch_execute("SELECT pg_advisory_lock_shared(1)")
        .unwrap();
    let (_other, other) = holder(&db, "SELECT pg_advisory_lock_shared(1)");
    let advisory = || pglock::locks().filter("kind=ADVISORY").unwrap();
    assert_eq!(advisory().fetch(&mut client).unwrap().len(), 2);
    let report = advisory().report().cancel_activity(&mut client).unwrap();
    let action = |pid| report.iter().find(|it| it.pid == pid).unwrap().action;
    assert_eq!(action(pid), BlockerAction::Spared(Spared::OwnSession));
    assert_eq!(action(other), BlockerAction::Spared(Spared::Idle));
    assert_eq!(
        advisory()
            .pid([pid])
            .terminate_activity(&mut client)
            .unwrap(),
        NOBODY
    );

    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let blocked = pglock::blocked_locks();
    let killed = blocked.clone().terminate_blocking_activity(&mut client);
    assert_eq!(killed.unwrap(), [other]);
    assert!(is_alive(&db, pid));

    let asked = advisory().granted(true).include_own_session();
    assert_eq!(asked.clone().cancel_activity(&mut client).unwrap(), NOBODY);
    client.batch_execute("SELECT 1").unwrap();
    let killed = blocked
        .include_own_session()
        .terminate_blocking_activity(&mut client);
    assert_eq!(killed.unwrap(), [pid]);
    waiter.finish();
    let error = asked.fetch(&mut client).unwrap_err();
    assert!(error.is_connect(), "{error}");
}

#[test]
fn a_session_is_signaled_only_if_it_is_the_one_that_was_seen() {
    let db = database();
    let (_holder, pid) = holder(&db, "SELECT pg_advisory_lock(1)");
    let mut client = db.connect();
    let start: String = client
        .query_one(
            "SELECT backend_start::text FROM pg_stat_activity WHERE pid = $1",
            &[&pid],
        )
        .unwrap()
        .get(0);
    let seen = |start: &str| {
        let filter = format!("activity__backend_start={start}");
        pglock::locks().pid([pid]).filter(filter).unwrap()
    };
    let before = seen("2001-01-01 00:00+00");
    assert_eq!(before.terminate_activity(&mut client).unwrap(), NOBODY);
    assert!(is_alive(&db, pid));
    assert_eq!(seen(&start).terminate_activity(&mut client).unwrap(), [pid]);
    wait_until_gone(&db, pid);
    // It has vanished: that is no error.
    assert_eq!(
        seen(&start).terminate_activity(&mut client).unwrap(),
        NOBODY
    );
}

#[test]
fn in_a_transaction_who_came_since_is_seen() {
    let db = database();
    let mut client = db.connect();
    let mut tx = client.transaction().unwrap();
    let advisory = || pglock::locks().filter("kind=ADVISORY").unwrap();
    assert_eq!(advisory().terminate_activity(&mut tx).unwrap(), NOBODY);
    let (_holder, pid) = holder(&db, "SELECT pg_advisory_lock(1)");
    assert_eq!(advisory().terminate_activity(&mut tx).unwrap(), [pid]);
    wait_until_gone(&db, pid);
    tx.query_one("SELECT 1", &[]).unwrap();
}

/// A role of the server's, gone at the end.
struct Role<'d> {
    db: &'d TestDb,
    name: String,
}

impl<'d> Role<'d> {
    fn create(db: &'d TestDb, name: &str, options: &str) -> Role<'d> {
        let name = format!("{}_{name}", db.name());
        db.execute(&format!("CREATE ROLE {name} LOGIN PASSWORD 'pw' {options}"));
        Role { db, name }
    }

    fn connect(&self) -> Client {
        let mut config: Config = self.db.url().parse().unwrap();
        config.user(&self.name).password("pw");
        config.connect(NoTls).unwrap()
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.db.execute(&format!("DROP ROLE {}", self.name));
        }
    }
}

#[test]
fn a_missing_right_is_not_an_error() {
    let db = database();
    let poor = Role::create(&db, "poor", "");
    let rich = Role::create(&db, "rich", "");
    let signals = Role::create(&db, "signals", "IN ROLE pg_signal_backend");
    let (_super, superuser) = holder(&db, "SELECT pg_advisory_lock(1)");
    let mut of_rich = rich.connect();
    let rich_pid = pid_of(&mut of_rich);
    of_rich.batch_execute("SELECT pg_advisory_lock(2)").unwrap();
    let mut of_poor = poor.connect();
    let poor_pid = pid_of(&mut of_poor);
    of_poor.batch_execute("SELECT pg_advisory_lock(3)").unwrap();
    let advisory = || pglock::locks().filter("kind=ADVISORY").unwrap();

    let mut client = poor.connect();
    let seen = advisory().fetch(&mut client).unwrap();
    assert_eq!(seen.len(), 3);
    let of_superuser = seen.iter().find(|lock| lock.activity.pid == superuser);
    let of_superuser = &of_superuser.unwrap().activity;
    assert_eq!(of_superuser.query, None);
    assert_eq!(of_superuser.backend_start, None);
    assert_eq!(of_superuser.application_name.as_deref(), Some("holder"));

    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");
    let mut tx = client.transaction().unwrap();
    let blocked = pglock::blocked_locks();
    assert_eq!(
        blocked.terminate_blocking_activity(&mut tx).unwrap(),
        NOBODY
    );
    assert_eq!(advisory().terminate_activity(&mut tx).unwrap(), [poor_pid]);
    tx.query_one("SELECT 1", &[]).unwrap();
    drop(tx);
    wait_until_gone(&db, poor_pid);

    let mut signaller = signals.connect();
    let killed = advisory().terminate_activity(&mut signaller).unwrap();
    assert_eq!(killed, [rich_pid]);
    wait_until_gone(&db, rich_pid);
    assert!(is_alive(&db, superuser) && is_alive(&db, waiter.pid));
    db.terminate(superuser);
    waiter.finish();
    drop((client, signaller));
    wait_until("their sessions are over", BOUND, || {
        let mut client = db.connect();
        let sql = "SELECT FROM pg_stat_activity WHERE usename = ANY ($1)";
        let names: Vec<&str> = [&poor, &rich, &signals].map(|role| &*role.name).into();
        client.query(sql, &[&names]).unwrap().is_empty()
    });
}

/// The actions answered `[]`, as where nobody is in the way.
#[test]
fn why_a_session_was_left_alone_is_in_the_report() {
    let server = Server::start();
    let db = server.create_database();
    let poor = Role::create(&db, "poor", "");
    let (_super, superuser) = holder(&db, "SELECT pg_advisory_lock_shared(1)");
    db.execute("BEGIN; SELECT pg_advisory_xact_lock_shared(1); PREPARE TRANSACTION 'p'");
    let mut of_poor = poor.connect();
    let poor_pid = pid_of(&mut of_poor);
    let lock = "SELECT pg_advisory_lock_shared(1)";
    of_poor.batch_execute(lock).unwrap();
    let mut client = poor.connect();
    let own = pid_of(&mut client);
    client.batch_execute(lock).unwrap();
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(1)");

    let blocked = pglock::blocked_locks().report();
    let report: Vec<Blocker> = blocked.terminate_blocking_activity(&mut client).unwrap();
    let spared = BlockerAction::Spared;
    let mut expected = [
        (0, spared(Spared::PreparedTransaction)),
        (superuser, spared(Spared::Denied)),
        (poor_pid, BlockerAction::Terminated),
        (own, spared(Spared::OwnSession)),
    ];
    expected.sort_by_key(|(pid, _)| *pid);
    let actions = report.iter().map(|session| (session.pid, session.action));
    assert_eq!(actions.collect::<Vec<_>>(), expected);
    let of_superuser = report.iter().find(|session| session.pid == superuser);
    assert_eq!(
        of_superuser.unwrap().to_string(),
        format!(
            "pid {superuser} (\"holder\") of user \"postgres\": spared because our role may not signal it"
        )
    );
    wait_until_gone(&db, poor_pid);
    assert!(is_alive(&db, superuser) && is_alive(&db, own));
    // Without it, only who was signaled.
    let blocked = pglock::blocked_locks();
    assert_eq!(
        blocked.terminate_blocking_activity(&mut client).unwrap(),
        NOBODY
    );

    let asked = pglock::locks().filter("kind=ADVISORY").unwrap();
    let asked = asked.pid([own]).include_own_session().report();
    let report = asked.clone().cancel_activity(&mut client).unwrap();
    assert_eq!(report[0].action, spared(Spared::OwnSession));
    let report = asked.terminate_activity(&mut client).unwrap();
    assert_eq!(report[0].action, BlockerAction::Terminated);
    db.execute("ROLLBACK PREPARED 'p'");
    db.terminate(superuser);
    waiter.finish();
}

#[test]
fn a_session_of_another_process_is_ended() {
    if child::role().as_deref() == Some("holder") {
        let mut client = Client::connect(&child::argument("URL"), NoTls).unwrap();
        client.batch_execute("SELECT pg_advisory_lock(1)").unwrap();
        child::say(&format!("got {}", pid_of(&mut client)));
        child::wait_for_end();
        return;
    }
    let db = database();
    let mut other = Child::of("actions::a_session_of_another_process_is_ended", "holder")
        .argument("URL", db.url())
        .start();
    let pid: i32 = other.wait_for_line("got", BOUND).parse().unwrap();
    let locks = pglock::locks().filter("type=ADVISORY").unwrap();
    assert_eq!(locks.terminate_activity(&mut db.connect()).unwrap(), [pid]);
    db.wait_for_no_locks();
}

#[tokio::test]
async fn async_connections_signal_the_same() {
    let db = database();
    let (mut client, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let (holder, connection) = tokio_postgres::connect(db.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    let holder_ended = tokio::spawn(connection);
    let sql = "SELECT pg_advisory_lock(1), pg_backend_pid()";
    let holder_pid: i32 = holder.query_one(sql, &[]).await.unwrap().get(1);
    let start = |statement: &'static str| {
        std::thread::scope(|scope| scope.spawn(|| Waiter::start(&db, statement)).join()).unwrap()
    };
    let canceled = start("SELECT pg_advisory_lock(1)");
    let waiter = start("SELECT pg_advisory_lock_shared(1)");
    let waiting = pglock::locks().granted(false).pid([canceled.pid]);
    let hit = waiting.cancel_activity_async(&mut client).await.unwrap();
    assert_eq!(hit, [canceled.pid]);
    canceled.was_canceled();
    let blocked = pglock::blocked_locks();
    let hit = blocked.clone().cancel_blocking_activity_async(&mut client);
    // It idles.
    assert_eq!(hit.await.unwrap(), NOBODY);
    let mut tx = client.transaction().await.unwrap();
    let hit = blocked.terminate_blocking_activity_async(&mut tx);
    assert_eq!(hit.await.unwrap(), [holder_pid]);
    assert!(holder_ended.await.unwrap().is_err());
    waiter.finish();
    drop(tx);

    let pid: i32 = client.query_one(sql, &[]).await.unwrap().get(1);
    let own = pglock::locks().filter("kind=ADVISORY").unwrap();
    let own = own.include_own_session();
    let canceled = own.clone().report().cancel_activity_async(&mut client);
    let left_alone = BlockerAction::Spared(Spared::OwnSession);
    assert_eq!(canceled.await.unwrap()[0].action, left_alone);
    let hit = own.terminate_activity_async(&mut client);
    assert_eq!(hit.await.unwrap(), [pid]);
    let error = pglock::locks().fetch_async(&mut client).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
}
