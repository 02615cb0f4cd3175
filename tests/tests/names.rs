//! Statements about advisory locks name them: what other sessions see of it, and what pglock reads back.

use std::time::{Duration, SystemTime};

use pglock::{Database, Error, Guard, Lock};
use pglock_tests::{BOUND, Server, TestDb, Waiter, database, pid_of, wait_until};

const COMMENT: &str = "/* pglock: \"nightly-report\" */";

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

/// The one session that holds an advisory lock.
fn holder(db: &TestDb) -> i32 {
    let locks = db.advisory_locks();
    let mut held = locks.iter().filter(|lock| lock.granted);
    held.next().expect("somebody holds a lock").pid
}

fn wait_for_statement(db: &TestDb, pid: i32, so: impl Fn(&str) -> bool) -> String {
    let mut statement = String::new();
    wait_until("its statement is another", BOUND, || {
        statement = db.statement_of(pid);
        so(&statement)
    });
    statement
}

fn is_heartbeat(statement: &str) -> bool {
    statement.starts_with("/* pglock: ") && statement.contains(" held ")
}

fn advisory(db: &TestDb) -> Vec<Lock> {
    let locks = pglock::locks().filter("kind=ADVISORY").unwrap();
    locks.fetch(&mut db.connect()).unwrap()
}

fn names(db: &TestDb) -> Vec<Option<String>> {
    let locks = advisory(db);
    locks.into_iter().map(|lock| lock.advisory_name).collect()
}

#[test]
fn a_listing_says_since_when_a_lock_is_held() {
    let db = database();
    let mut client = db.connect();
    let _held = pglock::advisory("of a connection")
        .on(&mut client)
        .acquire()
        .unwrap();
    let before = SystemTime::now();
    let guard = pglock::advisory("nightly-report")
        .using(handle(&db))
        .acquire()
        .unwrap();
    let after = SystemTime::now();
    wait_until("all say it", BOUND, || {
        let held = advisory(&db).into_iter().map(|lock| lock.held_since);
        held.collect::<Option<Vec<_>>>()
            .is_some_and(|held| held.len() == 2)
    });
    let waiter = Waiter::start(&db, "SELECT pg_advisory_lock(-8663603374018903193)");
    for lock in advisory(&db) {
        let since = lock.held_since;
        match (lock.advisory_name.as_deref(), lock.granted) {
            // The heartbeat is exact to a tenth of a second.
            (Some("nightly-report"), true) => {
                let tenth = Duration::from_millis(100);
                let is_then = |since: SystemTime| since + tenth >= before && since <= after + tenth;
                assert!(
                    since.is_some_and(is_then),
                    "{since:?} between {before:?} and {after:?}"
                );
            }
            (Some("of a connection"), true) => assert!(since.is_some_and(|since| since <= before)),
            other => assert_eq!((other, since), ((Some("nightly-report"), false), None)),
        }
    }
    drop(guard);
    waiter.finish();
}

#[test]
fn holders_and_waiters_on_own_sessions_name_their_lock() {
    say_their_lock(pglock::Advisory::acquire);
}

#[test]
fn so_do_they_with_xact() {
    say_their_lock(|lock| lock.xact().acquire());
}

fn say_their_lock(acquire: impl Fn(pglock::Advisory) -> Result<Guard, Error> + Sync) {
    let db = database();
    let lock = |name: &str| pglock::advisory("nightly-report").using(handle_as(&db, name));
    for timeout in [None, Some(BOUND), Some(Duration::ZERO)] {
        let held = acquire(lock("holder").timeout(timeout)).unwrap();
        // A session that many locks share says so soon after.
        wait_until("the holder's statement names the lock", BOUND, || {
            let statement = db.statement_of(holder(&db));
            statement.starts_with(COMMENT) || is_heartbeat(&statement)
        });
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| acquire(lock("waiter")));
            db.wait_for_waiters(1);
            for lock in db.advisory_locks() {
                let statement = db.statement_of(lock.pid);
                assert!(
                    statement.starts_with(COMMENT) || lock.granted && is_heartbeat(&statement),
                    "{statement}"
                );
            }
            held.release().unwrap();
            waiter.join().unwrap().unwrap().release().unwrap();
        });
    }
}

fn handle_as(db: &TestDb, application_name: &str) -> Database {
    let database = Database::builder(db.url()).application_name(application_name);
    database.build().unwrap()
}

#[test]
fn a_heartbeat_names_all_that_its_session_holds_and_for_how_long() {
    let db = database();
    let here = handle_as(&db, "here");
    let ok = pglock::advisory("outer").using(&here).run(|| {
        pglock::advisory((7, 8)).using(&here).run(|| {
            let pid = holder(&db);
            let statement = wait_for_statement(&db, pid, is_heartbeat);
            assert!(
                statement.starts_with("/* pglock: \"outer\" held ")
                    && statement.contains(" ms, (7, 8) held ")
                    && statement.ends_with(" ms */"),
                "{statement}"
            );
            let busy = |lock: pglock::Advisory| {
                let lock = lock.using(handle_as(&db, "there")).timeout(Duration::ZERO);
                lock.acquire().unwrap_err()
            };
            let outer = busy(pglock::advisory("outer"));
            let outer = outer.holder().unwrap();
            assert_eq!(outer.lock_name.as_deref(), Some("outer"));
            let inner = busy(pglock::advisory((7, 8)));
            let inner = inner.holder().unwrap();
            assert_eq!((inner.pid, inner.lock_name.as_deref()), (pid, None));
            assert!(outer.since.unwrap() <= inner.since.unwrap());
            Ok::<_, Error>(())
        })
    });
    ok.unwrap();
}

#[test]
fn locks_are_shown_with_their_names() {
    let db = database();
    let (classid, objid) = pglock::advisory_id("nightly-report");
    let key = (i64::from(classid) << 32) | i64::from(objid);
    let held = pglock::advisory("nightly-report").using(handle(&db));
    let held = held.acquire().unwrap();
    let name = || Some("nightly-report".to_owned());
    wait_until("it is named", BOUND, || names(&db) == [name()]);
    // A session that says no name waits for it.
    let waiter = Waiter::start(&db, &format!("SELECT pg_advisory_lock({key})"));
    assert_eq!(names(&db), [name(), name()]);
    let blocked = pglock::blocked_locks().fetch(&mut db.connect()).unwrap();
    assert_eq!(blocked[0].advisory_name, name());
    let line = blocked[0].to_string();
    let (begin, middle) = (
        format!("pid {} (\"waiter\", user \"postgres\") waits ", waiter.pid),
        format!(
            " for EXCLUSIVE on advisory lock \"nightly-report\", blocked by pid {} (\"pglock: ",
            holder(&db)
        ),
    );
    assert!(line.starts_with(&begin) && line.contains(&middle), "{line}");
    let locks = advisory(&db);
    let line = locks.iter().find(|lock| lock.granted).unwrap().to_string();
    assert!(
        line.contains(
            " holds EXCLUSIVE on advisory lock \"nightly-report\", IDLE, last statement "
        ),
        "{line}"
    );
    let graph = pglock::wait_graph().fetch(&mut db.connect()).unwrap();
    let edge = graph.edges().next().unwrap();
    assert_eq!(
        (edge.waiter.activity.pid, &edge.lock.advisory_name),
        (waiter.pid, &name())
    );
    let tree = graph.to_string();
    assert!(
        tree.contains(" for EXCLUSIVE on advisory lock \"nightly-report\": "),
        "{tree}"
    );

    held.release().unwrap();
    waiter.finish();
    // Names that are nobody's are not remembered.
    let mut other = db.connect();
    other
        .batch_execute(&format!("SELECT pg_advisory_lock({key})"))
        .unwrap();
    assert_eq!(names(&db), [None]);
}

#[test]
fn a_name_that_is_not_the_locks_is_not_believed() {
    let db = database();
    let forged = format!("{COMMENT} SELECT pg_advisory_lock(42)");
    let mut liar = db.connect();
    liar.batch_execute(&forged).unwrap();
    let pid = holder(&db);
    assert!(db.statement_of(pid).starts_with(COMMENT));
    assert_eq!(names(&db), [None]);

    let busy = pglock::advisory(42)
        .using(handle(&db))
        .timeout(Duration::ZERO);
    let error = busy.acquire().unwrap_err();
    let holder = error.holder().unwrap();
    assert_eq!((holder.pid, &holder.lock_name), (pid, &None));
    assert_eq!(holder.since, None);

    let waiter = Waiter::start(&db, &forged);
    let graph = pglock::wait_graph().fetch(&mut db.connect()).unwrap();
    let edge = graph.edges().next().unwrap();
    assert_eq!(edge.lock.advisory_name, None);
    assert!(
        graph.to_string().contains(" on advisory lock 42: "),
        "{graph}"
    );
    drop(liar);
    waiter.finish();
}

#[test]
fn a_session_says_what_it_holds_long_before_its_heartbeat() {
    let db = database();
    let builder = Database::builder(db.url()).heartbeat(6 * BOUND);
    let lock = pglock::advisory("early").using(builder.build().unwrap());
    let held = lock.acquire().unwrap();
    let expected = [Some("early".to_owned())];
    wait_until("it is named", BOUND, || names(&db) == expected);
    held.release().unwrap();
}

#[test]
fn long_names_and_odd_ones_are_read_back() {
    let db = database();
    let names_of = [
        "a::module::of::many::parts".repeat(7),
        "*/ \"\\ /* \n\0 日本".to_owned(),
    ];
    for name in names_of {
        let held = pglock::advisory(name.as_str()).using(handle(&db));
        let held = held.acquire().unwrap();
        let expected = [Some(name)];
        wait_until("it is named", BOUND, || names(&db) == expected);
        held.release().unwrap();
        db.wait_for_no_locks();
    }
    // One that is cut is not believed, but its key tells since when it is held.
    let name = "long ".repeat(50);
    let held = pglock::advisory(name.as_str()).using(handle_as(&db, "holder"));
    let held = held.acquire().unwrap();
    assert_eq!(names(&db), [None]);
    wait_until("it is known since when", BOUND, || {
        let busy = pglock::advisory(name.as_str())
            .using(handle(&db))
            .timeout(Duration::ZERO);
        let error = busy.acquire().unwrap_err();
        let holder = error.holder().unwrap();
        assert_eq!(holder.lock_name, None);
        holder.since.is_some()
    });
    held.release().unwrap();
}

/// The server converts statements to the encoding of their database, and fails where it cannot.
#[test]
fn a_database_of_another_encoding_takes_every_name() {
    let server = Server::start();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let mut client = connect(&server, "postgres");
        let create = format!(
            "CREATE DATABASE {encoding} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        );
        client.batch_execute(&create).unwrap();
        let database = encoding.to_lowercase();
        let (here, mut client) = (
            Database::builder(server.url(&database)).build().unwrap(),
            connect(&server, &database),
        );
        for name in ["日本語", "größe", "🙂"] {
            let lock = pglock::advisory(name).using(&here);
            lock.clone().acquire().unwrap().release().unwrap();
            lock.xact().acquire().unwrap().release().unwrap();
            let locked = pglock::advisory(name).on(&mut client).acquire().unwrap();
            locked.release().unwrap();
            let mut tx = client.transaction().unwrap();
            pglock::advisory(name).acquire_xact(&mut tx).unwrap();
            tx.commit().unwrap();
        }
    }
}

fn connect(server: &Server, database: &str) -> postgres::Client {
    postgres::Client::connect(&server.url(database), postgres::NoTls).unwrap()
}

/// `pg_stat_activity` cuts a statement after 1,023 bytes, and in a database of this encoding also within a character.
#[test]
fn a_holder_whose_statement_is_cut_within_a_character_is_found() {
    let server = Server::start();
    let create =
        "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0";
    connect(&server, "postgres").batch_execute(create).unwrap();
    let here = Database::builder(server.url("bytes")).build().unwrap();
    // One of them is cut in the middle.
    for pad in ["", " "] {
        let (mut holder, mut client) = (connect(&server, "bytes"), connect(&server, "bytes"));
        let pid = pid_of(&mut holder);
        let statement = format!("{pad}SELECT pg_advisory_lock(42) /* {} */", "é".repeat(600));
        holder.batch_execute(&statement).unwrap();
        let busy = pglock::advisory(42).timeout(Duration::ZERO);
        let error = busy.using(&here).acquire().unwrap_err();
        assert_eq!(error.holder().unwrap().pid, pid, "{error}");
        let locks = pglock::locks().pid([pid]).fetch(&mut client).unwrap();
        assert!(
            locks[0]
                .activity
                .query
                .as_deref()
                .unwrap()
                .contains(" /* éé")
        );

        let prioritized = pglock::prioritize()
            .using(&here)
            .interval(Duration::from_millis(100));
        let mut client = prioritized.on(&mut client).unwrap();
        client.batch_execute("SELECT pg_advisory_lock(42)").unwrap();
        let report = client.finish().unwrap();
        assert_eq!(report.signaled(), [pid]);
    }
}
