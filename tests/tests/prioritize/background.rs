//! Processes of the server that block a section: vacuums, and senders of the write-ahead log.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use pglock::{BlockerAction, PrioritizeReport, Spared};
use pglock_tests::{BOUND, Proxy, Server, TestDb, wait_until};
use postgres::config::Host;

use crate::spared::{action, as_role, try_for_it};
use crate::{INTERVAL, prioritize};

/// A server that vacuums a table as soon as there is a reason, and so slowly that it is seen.
fn vacuuming(setting: &str, value: &str) -> (Server, TestDb) {
    let server = Server::builder()
        .setting("autovacuum_naptime", "1s")
        .setting("autovacuum_freeze_max_age", "100000")
        .setting("fsync", "off")
        .setting("synchronous_commit", "off")
        // Postgres itself cancels a vacuum that blocks somebody for so long.
        .setting("deadlock_timeout", "10min")
        .setting(setting, value)
        .start();
    let db = server.create_database();
    // A vacuum against wraparound comes all the same, and no other one before it.
    db.execute(
        "CREATE TABLE orders (filler text) WITH (autovacuum_enabled = off, fillfactor = 10, autovacuum_vacuum_cost_limit = 1, \
         autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0); \
         INSERT INTO orders SELECT repeat('x', 400) FROM generate_series(1, 2000)",
    );
    (server, db)
}

/// Waits for a vacuum of the table, and for the table as a section.
fn try_for_the_table(db: &TestDb) -> PrioritizeReport {
    wait_until("it is vacuumed", 2 * BOUND, || {
        let locks = pglock::locks().on(["orders"]).granted(true);
        !locks.fetch(&mut db.connect()).unwrap().is_empty()
    });
    let mut client = db.connect();
    let mut section = prioritize(db)
        .timeout(10 * INTERVAL)
        .on(&mut client)
        .unwrap();
    let _ = section.batch_execute("BEGIN; LOCK TABLE orders; COMMIT");
    section.finish().unwrap()
}

fn age_all(db: &TestDb) {
    db.execute(
        "DO $$ BEGIN FOR n IN 1..101000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
    );
}

#[test]
fn a_vacuum_against_wraparound_is_spared() {
    // Its text is cut in the second, and there is none in the third.
    for (setting, value) in [
        ("autovacuum", "on"),
        ("track_activity_query_size", "100"),
        ("track_activities", "off"),
    ] {
        let (_server, db) = vacuuming(setting, value);
        if setting == "track_activity_query_size" {
            db.execute(&format!(
                "CREATE SCHEMA \"{}\"; ALTER TABLE orders SET SCHEMA \"{0}\"; ALTER DATABASE \"{1}\" SET search_path = \"{0}\"",
                "s".repeat(63),
                db.name()
            ));
        }
        age_all(&db);
        let report = try_for_the_table(&db);
        assert_eq!(
            action(&report),
            BlockerAction::Spared(Spared::Wraparound),
            "{setting}"
        );
    }
}

#[test]
fn a_vacuum_for_other_reasons_is_not() {
    let (_server, db) = vacuuming("autovacuum", "on");
    db.execute("DELETE FROM orders; ALTER TABLE orders SET (autovacuum_enabled = on)");
    assert_eq!(action(&try_for_the_table(&db)), BlockerAction::Terminated);
}

/// A connection that replicates, which `postgres` has no word for.
struct WalSender(TcpStream);

impl WalSender {
    fn new(proxy: &Proxy, db: &TestDb, user: &str) -> Self {
        let config: postgres::Config = proxy.url(db.name()).parse().unwrap();
        let Host::Tcp(host) = &config.get_hosts()[0] else {
            unreachable!("a proxy listens on TCP")
        };
        let mut socket = TcpStream::connect((host.as_str(), config.get_ports()[0])).unwrap();
        socket.set_read_timeout(Some(BOUND)).unwrap();
        let mut start = 196_608_u32.to_be_bytes().to_vec();
        for text in [
            "user",
            user,
            "database",
            db.name(),
            "replication",
            "database",
            "",
        ] {
            start.extend_from_slice(text.as_bytes());
            start.push(0);
        }
        write(&mut socket, &start);
        let mut sender = Self(socket);
        sender.wait_until_ready();
        sender
    }

    fn execute(&mut self, sql: &str) {
        self.0.write_all(b"Q").unwrap();
        write(&mut self.0, format!("{sql}\0").as_bytes());
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        loop {
            let mut header = [0; 5];
            self.0.read_exact(&mut header).unwrap();
            let length = u32::from_be_bytes(header[1..].try_into().unwrap());
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).unwrap();
            match header[0] {
                b'Z' => return,
                b'E' => panic!("{}", String::from_utf8_lossy(&body)),
                _ => {}
            }
        }
    }
}

/// A message after its type.
fn write(socket: &mut TcpStream, body: &[u8]) {
    let length = u32::try_from(body.len() + 4).unwrap();
    socket.write_all(&length.to_be_bytes()).unwrap();
    socket.write_all(body).unwrap();
}

#[test]
fn a_sender_of_the_write_ahead_log_is_spared() {
    let server = Server::start();
    let db = server.create_database();
    let proxy = Proxy::start(&server);
    db.execute(
        "CREATE ROLE standby LOGIN REPLICATION; CREATE ROLE signaler LOGIN IN ROLE pg_signal_backend",
    );
    let mut sender = WalSender::new(&proxy, &db, "standby");
    sender.execute("SELECT pg_advisory_lock(1)");
    let report = try_for_it(&db, prioritize(&db));
    assert_eq!(action(&report), BlockerAction::Spared(Spared::Background));

    // One that does not see of which kind it is.
    let (mut client, database) = as_role(&db, "signaler");
    let mut section = pglock::prioritize()
        .interval(INTERVAL)
        .using(&database)
        .timeout(Duration::from_millis(500))
        .on(&mut client)
        .unwrap();
    section
        .batch_execute("SELECT pg_advisory_lock(1)")
        .unwrap_err();
    let report = section.finish().unwrap();
    assert_eq!(action(&report), BlockerAction::Spared(Spared::Background));
    sender.execute("SELECT 1");
}
