//! What is dropped half-way: each cell of the table "What `Drop` guarantees on each driver" in docs/internals/drivers.md.

use std::time::{Duration, Instant};

use pglock::AsyncConnection;
use pglock_tests::{BOUND, Proxy, database, server, wait_until_async};

use super::{
    Ask, Begin, Commit, Driver, DroppedWait, Sqlx, drop_after_polls, drop_once, for_each_driver,
    key, shown, wait_for_no_locks,
};

const SECOND: Duration = Duration::from_secs(1);

for_each_driver! {
    a_dropped_guard_releases_though_the_connection_idles
    a_guard_dropped_behind_a_dropped_statement_releases
    a_dropped_guard_rolls_back_what_was_left_open
    a_release_that_is_dropped_half_way_releases_once
    an_acquire_that_is_dropped_half_way_holds_nothing
    a_call_that_is_dropped_half_way_holds_nothing
    a_dropped_wait_holds_nothing
    a_wait_that_is_dropped_as_it_is_granted_is_released
    a_dropped_wait_does_not_answer_the_next_statement
    a_dropped_wait_in_a_transaction_is_the_transactions
    a_setting_that_is_dropped_half_way_is_put_back
    a_scope_dropped_behind_a_dropped_statement_is_put_back
    a_restore_dropped_in_a_transaction_begun_by_hand_that_is_aborted_leaves_the_setting
    a_try_in_a_transaction_that_is_dropped_half_way_is_the_transactions
    a_listing_that_is_dropped_half_way_leaves_nothing
}

/// sqlx hands the error of a statement that was dropped to the next one.
async fn sound(connection: &mut impl Ask) {
    for _ in 0..3 {
        if connection.ask("SELECT 1").await.is_ok() {
            return;
        }
    }
    panic!("the connection can't go on");
}

async fn a_dropped_guard_releases_though_the_connection_idles<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let lock = pglock::advisory("guard").on_async(D::connection(&mut session));
    let guard = lock.acquire().await.unwrap();
    assert_eq!(db.held(key("guard")), 1);
    drop(guard);
    wait_for_no_locks(&db).await;
    sound(D::connection(&mut session)).await;
}

async fn a_guard_dropped_behind_a_dropped_statement_releases<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let lock = pglock::advisory("guard").on_async(D::connection(&mut session));
    let mut guard = lock.acquire().await.unwrap();
    assert!(!drop_after_polls(1, guard.ask("SELECT pg_sleep(0.2)")).await);
    drop(guard);
    wait_for_no_locks(&db).await;
    sound(D::connection(&mut session)).await;
}

async fn a_dropped_guard_rolls_back_what_was_left_open<D: Driver>() {
    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    for aborted in [false, true] {
        let lock = pglock::advisory("left").on_async(connection);
        let mut guard = lock.acquire().await.unwrap();
        guard.ask("BEGIN").await.unwrap();
        guard.ask("INSERT INTO work VALUES (1)").await.unwrap();
        if aborted {
            guard.ask("SELECT 1 / 0").await.unwrap_err();
        }
        drop(guard);
        wait_for_no_locks(&db).await;
        sound(connection).await;
        let count = connection.ask("SELECT count(*) FROM work").await.unwrap();
        assert_eq!(count.as_deref(), Some("0"));
    }
}

/// Through a proxy, since an answer that comes at once leaves no middle to drop in.
async fn a_release_that_is_dropped_half_way_releases_once<D: Driver>() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut session = D::open_at(&proxy.url(db.name())).await;
    let connection = D::connection(&mut session);
    for left in ["SELECT 1", "BEGIN", "BEGIN; SELECT 1 / 0"] {
        for polls in 0..12 {
            let outer = pglock::advisory("twice").on_async(connection);
            let mut outer = outer.acquire().await.unwrap();
            let inner = pglock::advisory("twice").on_async(&mut outer);
            let mut inner = inner.acquire().await.unwrap();
            for statement in left.split("; ") {
                let _ = inner.ask(statement).await;
            }
            drop_after_polls(polls, inner.release()).await;
            // The outer one is the outer guard's still, and no transaction is left.
            let released = outer.release().await;
            released.unwrap_or_else(|error| panic!("{left}, {polls} polls: {error}"));
            assert!(db.advisory_locks().is_empty(), "{left}, {polls} polls");
        }
    }
}

async fn an_acquire_that_is_dropped_half_way_holds_nothing<D: Driver>() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut session = D::open_at(&proxy.url(db.name())).await;
    let connection = D::connection(&mut session);
    for timeout in [None, Some(Duration::ZERO)] {
        for polls in 0..5 {
            let lock = pglock::advisory("free").timeout(timeout);
            let acquire = lock.on_async(connection).acquire();
            drop_after_polls(polls, acquire).await;
            wait_for_no_locks(&db).await;
            sound(connection).await;
        }
    }
}

#[pglock::advisory("call", client = connection)]
#[pglock::timeout("1s", client = connection)]
async fn job<C: AsyncConnection + Ask>(connection: &mut C) -> Result<(), pglock::Error> {
    let _ = connection.ask("SELECT 1").await;
    Ok(())
}

async fn a_call_that_is_dropped_half_way_holds_nothing<D: Driver>() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut session = D::open_at(&proxy.url(db.name())).await;
    let connection = D::connection(&mut session);
    for polls in 0..8 {
        drop_after_polls(polls, job(connection)).await;
        wait_for_no_locks(&db).await;
        sound(connection).await;
        let lock_timeout = shown(connection, "lock_timeout").await;
        assert_eq!(lock_timeout, "0", "{polls} polls");
    }
}

async fn a_dropped_wait_holds_nothing<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("wait").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let waits = pglock::advisory("wait").on_async(D::connection(&mut session));
    drop_once("it waits", waits.acquire(), || db.waiting(key("wait")) == 1).await;
    match D::DROPPED_WAIT {
        DroppedWait::Canceled => {
            wait_until_async("it is canceled", BOUND, || db.waiting(key("wait")) == 0).await;
            assert_eq!(db.held(key("wait")), 1);
            held.release().await.unwrap();
        }
        DroppedWait::EndsByItself => {
            assert_eq!(db.waiting(key("wait")), 1);
            held.release().await.unwrap();
            // Nobody uses its connection.
            wait_for_no_locks(&db).await;
        }
        DroppedWait::Closed => {
            drop(session);
            wait_until_async("the server looks", BOUND, || db.waiting(key("wait")) == 0).await;
            assert_eq!(db.held(key("wait")), 1);
            held.release().await.unwrap();
            wait_for_no_locks(&db).await;
            return;
        }
    }
    sound(D::connection(&mut session)).await;
    assert!(db.advisory_locks().is_empty());
}

async fn a_wait_that_is_dropped_as_it_is_granted_is_released<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    for yields in 0..6 {
        let held = pglock::advisory("granted").on_async(D::connection(&mut holder));
        let held = held.acquire().await.unwrap();
        let lock = pglock::advisory("granted").timeout(BOUND);
        let waits = lock.on_async(D::connection(&mut session)).acquire();
        let grants = async {
            wait_until_async("it waits", BOUND, || db.waiting(key("granted")) == 1).await;
            held.release().await.unwrap();
            // The moment itself is what is swept.
            for _ in 0..yields {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            () = grants => {}
            guard = waits => drop(guard.unwrap()),
        }
        wait_for_no_locks(&db).await;
    }
}

async fn a_dropped_wait_does_not_answer_the_next_statement<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let held = pglock::advisory("wait").on_async(D::connection(&mut holder));
    let held = held.acquire().await.unwrap();
    let connection = D::connection(&mut session);
    let lock = pglock::advisory("wait").timeout(Duration::from_millis(500));
    let waits = lock.on_async(connection).acquire();
    drop_once("it waits", waits, || db.waiting(key("wait")) == 1).await;
    wait_until_async("it has timed out", BOUND, || db.waiting(key("wait")) == 0).await;
    let free = pglock::advisory("free").on_async(connection).try_acquire();
    let free = free.await.unwrap().expect("nobody has it");
    free.release().await.unwrap();
    held.release().await.unwrap();
}

async fn a_dropped_wait_in_a_transaction_is_the_transactions<D: Driver>() {
    let db = database();
    let (mut holder, mut session) = (D::open(&db).await, D::open(&db).await);
    let connection = D::connection(&mut session);
    for granted in [true, false] {
        let held = pglock::advisory("tx").on_async(D::connection(&mut holder));
        let held = held.acquire().await.unwrap();
        let mut tx = connection.begin_transaction().await;
        let lock = pglock::advisory("tx");
        let lock = lock.timeout((!granted).then_some(Duration::from_millis(500)));
        let waits = lock.acquire_xact_async(&mut *tx);
        drop_once("it waits", waits, || db.waiting(key("tx")) == 1).await;
        if D::DROPPED_WAIT == DroppedWait::Canceled {
            wait_until_async("it is canceled", BOUND, || db.waiting(key("tx")) == 0).await;
            tx.ask("SELECT 1").await.unwrap();
            held.release().await.unwrap();
        } else if granted {
            held.release().await.unwrap();
            // It is the transaction's, which goes on.
            assert_eq!(shown(&mut *tx, "lock_timeout").await, "0");
            assert_eq!(db.held(key("tx")), 1);
        } else {
            wait_until_async("it has timed out", BOUND, || db.waiting(key("tx")) == 0).await;
            held.release().await.unwrap();
            // The error of the wait, then the aborted transaction.
            assert_eq!(tx.ask("SELECT 1").await.unwrap_err(), "55P03");
            assert_eq!(tx.ask("SELECT 1").await.unwrap_err(), "25P02");
            drop(tx);
            sound(connection).await;
            assert!(db.advisory_locks().is_empty());
            continue;
        }
        tx.commit_transaction().await;
        assert!(db.advisory_locks().is_empty());
    }
}

async fn a_setting_that_is_dropped_half_way_is_put_back<D: Driver>() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut session = D::open_at(&proxy.url(db.name())).await;
    let connection = D::connection(&mut session);
    // A note of an earlier scope, which must not be put back.
    connection.ask("SET lock_timeout = '7s'").await.unwrap();
    let scope = pglock::timeout(SECOND).on_async(connection).await.unwrap();
    scope.restore().await.unwrap();
    connection.ask("RESET lock_timeout").await.unwrap();
    for busy in [true, false] {
        for polls in 0..5 {
            if busy {
                drop_after_polls(1, connection.ask("SELECT pg_sleep(0.01)")).await;
            }
            let scope = pglock::timeout(SECOND).on_async(connection);
            drop_after_polls(polls, scope).await;
            let value = shown(connection, "lock_timeout").await;
            assert_eq!(value, "0", "busy: {busy}, {polls} polls");
        }
    }
}

async fn a_scope_dropped_behind_a_dropped_statement_is_put_back<D: Driver>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    let scope = pglock::timeout(SECOND).on_async(connection).await;
    let mut scope = scope.unwrap();
    drop_after_polls(1, scope.ask("SELECT pg_sleep(0.05)")).await;
    drop(scope);
    assert_eq!(shown(connection, "lock_timeout").await, "0");
    // In a transaction of sqlx's nothing can be queued behind it: then it is so at the end of the transaction.
    let mut tx = connection.begin_transaction().await;
    let scope = pglock::timeout(SECOND).on_async(&mut *tx).await;
    let mut scope = scope.unwrap();
    drop_after_polls(1, scope.ask("SELECT pg_sleep(0.05)")).await;
    drop(scope);
    if D::DROPPED_WAIT == DroppedWait::Canceled {
        assert_eq!(shown(&mut *tx, "lock_timeout").await, "0");
    }
    tx.commit_transaction().await;
    assert_eq!(shown(connection, "lock_timeout").await, "0");
}

/// Only an answer tells that the transaction is aborted, and is to be ended first.
async fn a_restore_dropped_in_a_transaction_begun_by_hand_that_is_aborted_leaves_the_setting<
    D: Driver,
>() {
    let db = database();
    let mut session = D::open(&db).await;
    let connection = D::connection(&mut session);
    for (polls, put_back) in [(0, "1s"), (usize::MAX, "0")] {
        let scope = pglock::timeout(SECOND).on_async(connection).await;
        let mut scope = scope.unwrap();
        scope.ask("BEGIN").await.unwrap();
        scope.ask("SELECT 1 / 0").await.unwrap_err();
        drop_after_polls(polls, scope.restore()).await;
        // On sqlx the first answers are the errors of what was dropped.
        while connection.ask("ROLLBACK").await.is_err() {}
        assert_eq!(shown(connection, "lock_timeout").await, put_back, "{polls}");
        connection.ask("RESET lock_timeout").await.unwrap();
    }
}

async fn a_try_in_a_transaction_that_is_dropped_half_way_is_the_transactions<D: Driver>() {
    let (db, proxy) = (database(), Proxy::start(server()));
    let mut session = D::open_at(&proxy.url(db.name())).await;
    let connection = D::connection(&mut session);
    for polls in 0..4 {
        let mut tx = connection.begin_transaction().await;
        let tried = pglock::advisory("tx").try_acquire_xact_async(&mut *tx);
        let done = drop_after_polls(polls, tried).await;
        tx.ask("SELECT 1").await.unwrap();
        let held = db.held(key("tx"));
        assert!(
            held == usize::from(polls > 0),
            "{polls} polls, done: {done}"
        );
        tx.commit_transaction().await;
        assert!(db.advisory_locks().is_empty(), "{polls} polls");
    }
}

async fn a_listing_that_is_dropped_half_way_leaves_nothing<D: Driver>() {
    let (db, proxy) = (database(), Proxy::start(server()));
    db.execute("CREATE TABLE orders ()");
    let mut session = D::open_at(&proxy.url(db.name())).await;
    let connection = D::connection(&mut session);
    for polls in 0..8 {
        let mut tx = connection.begin_transaction().await;
        let locks = pglock::locks().on(["orders"]);
        drop_after_polls(polls, locks.fetch_async(&mut *tx)).await;
        let graph = pglock::wait_graph().on(["orders"]);
        drop_after_polls(polls, graph.fetch_async(&mut *tx)).await;
        let again = pglock::wait_graph().fetch_async(&mut *tx).await;
        assert!(again.unwrap().is_empty(), "{polls} polls");
        tx.ask("SELECT 1").await.unwrap();
        tx.commit_transaction().await;
        // Where the answer is an error, it is no error of what pglock asks next.
        let wrong = pglock::locks().filter("wait_duration__gt=ages").unwrap();
        let done = drop_after_polls(polls, wrong.fetch_async(connection)).await;
        let again = pglock::locks().fetch_async(connection).await;
        assert!(!again.unwrap().is_empty(), "{polls} polls, done: {done}");
    }
}

/// What a drop queues in a transaction that was begun by hand may be answered at once, which sqlx takes for the begin
/// of one of its own. Then the transaction is aborted, and says so; never does its work go on outside of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_begun_by_hand_on_sqlx_goes_on_or_says_that_it_does_not() {
    use sqlx::Connection as _;

    let db = database();
    db.execute("CREATE TABLE work (done int)");
    let mut session = Sqlx::open(&db).await;
    let (mut went_on, mut aborted) = (0, 0);
    for round in 0..400 {
        session.ask("BEGIN").await.unwrap();
        session.ask("INSERT INTO work VALUES (1)").await.unwrap();
        let scope = pglock::timeout(SECOND).on_async(&mut session).await;
        let mut scope = scope.unwrap();
        drop_after_polls(1, scope.ask("SELECT pg_sleep(0.0002)")).await;
        // The moment at which its answer comes is what is swept.
        let began = Instant::now();
        while began.elapsed() < Duration::from_micros(500 + round * 4) {
            std::hint::spin_loop();
        }
        drop(scope);
        assert!(!session.is_in_transaction(), "sqlx began none");
        let first = session.ask("INSERT INTO work VALUES (1)").await;
        let second = session.ask("INSERT INTO work VALUES (1)").await;
        session.ask("COMMIT").await.unwrap();
        let done = session.ask("SELECT count(*) FROM work").await.unwrap();
        if first.is_ok() && second.is_ok() {
            went_on += 1;
            assert_eq!(done.as_deref(), Some("3"), "{round}");
        } else {
            aborted += 1;
            assert_eq!(second.unwrap_err(), "25P02", "{round}");
            assert_eq!(done.as_deref(), Some("0"), "{round}");
        }
        session.ask("TRUNCATE work").await.unwrap();
    }
    eprintln!("{went_on} transactions went on, {aborted} were aborted");
}

/// What the documentation says of sqlx: the error of a dropped wait is the next statement's.
#[tokio::test]
async fn sqlx_hands_the_error_of_a_dropped_wait_to_the_next_statement() {
    let db = database();
    let (mut holder, mut session) = (Sqlx::open(&db).await, Sqlx::open(&db).await);
    let held = pglock::advisory("wait").on_async(&mut holder);
    let held = held.acquire().await.unwrap();
    let lock = pglock::advisory("wait").timeout(Duration::from_millis(500));
    let waits = lock.on_async(&mut session).acquire();
    drop_once("it waits", waits, || db.waiting(key("wait")) == 1).await;
    assert_eq!(session.ask("SELECT 1").await.unwrap_err(), "55P03");
    session.ask("SELECT 1").await.unwrap();
    held.release().await.unwrap();
}

/// The transaction is its user's, and so is its end. The documentation of `AsyncConnection` tells of it.
#[tokio::test]
async fn a_dropped_transaction_of_sqlx_ends_with_the_next_use_of_its_connection() {
    let db = database();
    let mut session = Sqlx::open(&db).await;
    let connection = Sqlx::connection(&mut session);
    let mut tx = connection.begin_transaction().await;
    let lock = pglock::advisory("ledger");
    lock.acquire_xact_async(&mut *tx).await.unwrap();
    drop(tx);
    assert_eq!(db.held(key("ledger")), 1);
    connection.ask("SELECT 1").await.unwrap();
    assert!(db.advisory_locks().is_empty());
}
