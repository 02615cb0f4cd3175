//! Statements and names that are not valid in the encoding of the client, or of the database: they are shown as far as
//! they can be read, hide nobody, and end nobody without a word.

use std::time::Duration;

use pglock::{BlockerAction, Database};
use pglock_tests::{Server, TestDb, Waiter, pid_of};
use postgres::{Client, NoTls};

use crate::{busy, busy_on, holder};

const INTERVAL: Duration = Duration::from_millis(100);

fn connect(server: &Server, database: &str) -> Client {
    Client::connect(&server.url(database), NoTls).unwrap()
}

fn create(server: &Server, name: &str, encoding: &str) {
    let create = format!(
        "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    connect(server, "postgres").batch_execute(&create).unwrap();
}

/// `pg_stat_activity` keeps 1,023 bytes of a statement, and in a database of this encoding cuts it within a character.
#[test]
fn a_statement_that_is_cut_within_a_character() {
    let server = Server::start();
    create(&server, "bytes", "SQL_ASCII");
    let here = Database::builder(server.url("bytes")).build().unwrap();
    // One of them is cut in the middle.
    for pad in ["", "x"] {
        let (mut other, mut client) = (connect(&server, "bytes"), connect(&server, "bytes"));
        let pid = pid_of(&mut other);
        let statement = format!("SELECT '{pad}{}', pg_advisory_lock(42)", "é".repeat(1000));
        other.batch_execute(&statement).unwrap();

        for error in [busy(&here, 42), busy_on(&mut client, 42)] {
            let holder = holder(&error);
            assert_eq!(holder.pid, pid, "{error}");
            let query = holder.query.as_deref().unwrap();
            assert!(query.starts_with(&format!("SELECT '{pad}éé")), "{query}");
        }
        let locks = pglock::locks()
            .filter("kind=ADVISORY")
            .unwrap()
            .filter("activity__query__icontains=ÉÉ")
            .unwrap();
        assert!(
            locks.fetch(&mut client).unwrap().is_empty(),
            "the case of ASCII only"
        );
        let locks = pglock::locks()
            .filter("activity__query__icontains=select 'éé")
            .unwrap()
            .exclude("activity__query__contains='xéé")
            .unwrap();
        assert_eq!(locks.fetch(&mut client).unwrap().is_empty(), pad == "x");
        let locks = pglock::locks().pid([pid]).fetch(&mut client).unwrap();
        let query = locks[0].activity.query.as_deref().unwrap();
        assert_eq!(query.ends_with('\u{fffd}'), pad.is_empty(), "{query}");
        assert!(query.ends_with(['é', '\u{fffd}']));

        let prioritized = pglock::prioritize().using(&here).interval(INTERVAL);
        let mut section = prioritized.on(&mut client).unwrap();
        section
            .batch_execute("SELECT pg_advisory_lock(42)")
            .unwrap();
        let report = section.finish().unwrap();
        assert_eq!(report.signaled(), [pid]);
        let query = report.blockers()[0].query.as_deref().unwrap();
        assert!(query.contains("éé"), "{query}");
    }
}

#[test]
fn a_table_whose_name_is_not_text() {
    let server = Server::start();
    create(&server, "bytes", "SQL_ASCII");
    let (mut other, mut client) = (connect(&server, "bytes"), connect(&server, "bytes"));
    let named = |statement: &str| {
        format!(
            "DO $$ BEGIN EXECUTE '{statement} ' || quote_ident(convert_from('\\x676ff6df65', 'SQL_ASCII')); END $$"
        )
    };
    let create = named("CREATE TABLE").replace("; END", " || ' ()'; END");
    other.batch_execute(&create).unwrap();
    let lock = format!("BEGIN; {}", named("LOCK TABLE"));
    other.batch_execute(&lock).unwrap();
    let pid = pid_of(&mut other);
    let locks = pglock::locks()
        .pid([pid])
        .filter("rel_kind=TABLE")
        .unwrap()
        .filter("mode=ACCESS_EXCLUSIVE")
        .unwrap()
        .fetch(&mut client)
        .unwrap();
    assert_eq!(locks[0].rel_name.as_deref(), Some("go\u{fffd}\u{fffd}e"));
}

/// In a database in UTF-8, while there is a session with these statements in one in LATIN1.
fn beside_latin1(look: impl Fn(&TestDb, &mut Client, i32)) {
    let server = Server::start();
    create(&server, "latin", "LATIN1");
    let db = server.create_database();
    let mut other = connect(&server, "latin");
    let pid = pid_of(&mut other);
    // What it locks belongs to no database.
    let shared = "COMMENT ON DATABASE postgres IS 'größe'";
    other.batch_execute(&format!("BEGIN; {shared}")).unwrap();
    look(&db, &mut db.connect(), pid);
}

#[test]
fn filters_beside_a_database_of_another_encoding() {
    let server = Server::start();
    create(&server, "latin", "LATIN1");
    // With C, letters are not looked up, and nothing fails.
    let create =
        "CREATE DATABASE here ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' TEMPLATE template0";
    connect(&server, "postgres").batch_execute(create).unwrap();
    let mut other = connect(&server, "latin");
    other
        .batch_execute("SELECT 'größe', pg_advisory_lock(1)")
        .unwrap();
    let (mut holder, mut client) = (connect(&server, "here"), connect(&server, "here"));
    holder
        .batch_execute("SELECT 'GRÖSSE', pg_advisory_lock(1)")
        .unwrap();
    for filter in [
        "activity__query__icontains=select 'grö",
        "activity__query__iexact=select 'grösse', pg_advisory_lock(1)",
        "activity__query__istartswith=select 'grö",
        "activity__query__iendswith=össe', pg_advisory_lock(1)",
        "activity__query__endswith=GRÖSSE', pg_advisory_lock(1)",
        "activity__query__contains=GRÖSSE",
        "activity__query__regex=^SELECT 'GR.SSE",
        "activity__query__iregex=^select 'gr[ö]sse",
    ] {
        let locks = pglock::locks().filter("kind=ADVISORY").unwrap();
        let locks = locks.filter(filter).unwrap().fetch(&mut client);
        assert_eq!(locks.unwrap().len(), 1, "{filter}");
    }
}

#[test]
fn a_blocker_in_a_database_of_another_encoding() {
    beside_latin1(|db, client, pid| {
        let waiter = Waiter::start(db, "COMMENT ON DATABASE postgres IS 'ours'");
        let blocked = pglock::blocked_locks();
        let blockers = blocked.clone().fetch(client).unwrap();
        assert_eq!(blockers[0].blocking_activity.pid, pid);
        let query = blockers[0].blocking_activity.query.as_deref().unwrap();
        assert_eq!(
            query,
            "BEGIN; COMMENT ON DATABASE postgres IS 'gr\u{fffd}\u{fffd}e'"
        );
        for (filter, found) in [
            ("blocking_activity__query__icontains=comment on database", 1),
            ("blocking_activity__query__iregex=comment .* postgres", 1),
            ("blocking_activity__query__iendswith=E'", 1),
            ("blocking_activity__query__contains=größe", 0),
        ] {
            let found_by = blocked.clone().filter(filter).unwrap().fetch(client);
            assert_eq!(found_by.unwrap().len(), found, "{filter}");
        }
        let graph = pglock::wait_graph().fetch(client).unwrap();
        assert_eq!(graph.roots()[0].activity.query.as_deref(), Some(query));
        let hit = blocked
            .filter("blocking_activity__query__icontains=comment")
            .unwrap()
            .terminate_blocking_activity(client);
        assert_eq!(hit.unwrap(), [pid]);
        waiter.finish();
    });
}

#[test]
fn a_blocker_that_is_ended_is_reported() {
    beside_latin1(|db, client, pid| {
        let here = Database::builder(db.url()).build().unwrap();
        let prioritized = pglock::prioritize().using(&here).interval(INTERVAL);
        let mut section = prioritized.on(client).unwrap();
        section
            .batch_execute("COMMENT ON DATABASE postgres IS 'ours'")
            .unwrap();
        let report = section.finish().unwrap();
        assert_eq!(report.signaled(), [pid]);
        let blocker = &report.blockers()[0];
        assert_eq!(blocker.action, BlockerAction::Terminated);
        let query = blocker.query.as_deref().unwrap();
        assert!(query.ends_with("IS 'gr\u{fffd}\u{fffd}e'"), "{query}");
    });
}
