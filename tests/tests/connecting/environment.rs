//! The environment of libpq, read as libpq itself reads it: diesel's connections are libpq's.

use diesel::sql_types::{Bool, Integer, Text};
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use pglock::{Database, DatabaseConfig};
use pglock_tests::{BOUND, Child, child};

use crate::{PASSWORD, file, open_to, port, server};

/// What libpq's session says about pglock's, by its pid.
#[derive(QueryableByName, Debug)]
struct Seen {
    #[diesel(sql_type = Bool)]
    has_its_user: bool,
    #[diesel(sql_type = Bool)]
    is_in_its_database: bool,
    #[diesel(sql_type = Bool)]
    is_local_as_it: bool,
    #[diesel(sql_type = Text)]
    name: String,
}

/// Takes a lock in the database that the environment names, and looks at its session from one of libpq's.
fn compare(url: &str) {
    let mut libpq = PgConnection::establish(url).unwrap();
    let database = Database::builder(match url {
        "" => DatabaseConfig::from_env(),
        url => DatabaseConfig::from(url),
    });
    let database = database.build().unwrap();
    let lock = pglock::advisory("environment").using(&database);
    let guard = lock.clone().acquire().unwrap();
    let busy = lock
        .timeout(std::time::Duration::ZERO)
        .acquire()
        .unwrap_err();
    let sql = "SELECT usename = current_user AS has_its_user, datname = current_database() AS is_in_its_database, \
         (client_addr IS NULL) = (inet_client_addr() IS NULL) AS is_local_as_it, application_name AS name \
         FROM pg_stat_activity WHERE pid = $1";
    let seen: Vec<Seen> = sql_query(sql)
        .bind::<Integer, _>(busy.holder().unwrap().pid)
        .load(&mut libpq)
        .unwrap();
    let [seen] = &seen[..] else {
        panic!("libpq is connected to another server");
    };
    assert!(
        seen.has_its_user && seen.is_in_its_database && seen.is_local_as_it,
        "{seen:?}"
    );
    guard.release().unwrap();
    child::say(&format!("connected {}", seen.name));
}

fn play(role: &str) {
    match role {
        "compare" => compare(&child::argument("URL")),
        "default" => {
            pglock::advisory("environment")
                .acquire()
                .unwrap()
                .release()
                .unwrap();
            let other = pglock::configure("postgres://elsewhere/app").unwrap_err();
            assert!(
                other.to_string().contains("what the environment names"),
                "{other}"
            );
            child::say("ok");
        }
        "refused by both" => {
            assert!(PgConnection::establish("").is_err());
            play("refused");
        }
        "refused" => {
            let error = pglock::advisory("environment").acquire().unwrap_err();
            child::say(&format!("refused {error}"));
        }
        role => panic!("no role {role}"),
    }
}

type Variable<'v> = (&'v str, &'v str);

/// Runs another process, in which nothing of libpq's is set but this, and returns what it says after `word`.
fn run(role: &str, url: &str, environment: &[Variable<'_>], word: &str) -> String {
    let unset = [
        "DATABASE_URL",
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGPASSWORD",
        "PGPASSFILE",
        "PGSERVICE",
    ];
    let builder = Child::of("environment::it_is_read_as_libpq_reads_it", role);
    let builder = builder.argument("URL", url).env("HOME", "/nonexistent");
    let builder = unset.iter().fold(builder, |it, name| it.env_remove(name));
    let builder = environment
        .iter()
        .fold(builder, |it, (name, value)| it.env(name, value));
    let mut child = builder.start();
    let said = child.wait_for_line(word, BOUND);
    child.finish(BOUND);
    said
}

/// The server by its address, for the role with a password.
fn tcp<'v>(port: &'v str, more: &[Variable<'v>]) -> Vec<Variable<'v>> {
    let place = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", port),
        ("PGUSER", "scram"),
        ("PGDATABASE", "postgres"),
        ("PGSSLMODE", "disable"),
    ];
    [&place, more].concat()
}

#[test]
fn it_is_read_as_libpq_reads_it() {
    if let Some(role) = child::role() {
        return play(&role);
    }
    let folder = tempfile::tempdir().unwrap();
    let (port, sockets) = (port(), server().data_dir());
    let sockets = sockets.parent().unwrap().to_str().unwrap();
    let line = format!("127.0.0.1:{port}:postgres:scram:{PASSWORD}\n*:*:*:*:wrong\n");
    let passwords = file(folder.path(), ".pgpass", &line);
    let services = format!("[s]\nhost=127.0.0.1\nport={port}\nuser=scram\npassword={PASSWORD}\n");
    let services = file(folder.path(), "services", &services);
    let password = ("PGPASSWORD", PASSWORD);
    let home = ("HOME", folder.path().to_str().unwrap());
    let tcp = |more: &[Variable<'_>]| {
        run("compare", "", &tcp(&port, more), "connected");
    };
    tcp(&[password]);
    tcp(&[("PGPASSFILE", passwords.to_str().unwrap())]);
    tcp(&[home]);
    tcp(&[("PGUSER", "postgres"), ("PGHOST", sockets)]);
    tcp(&[
        ("PGHOST", "nowhere.invalid"),
        ("PGHOSTADDR", "127.0.0.1"),
        password,
    ]);
    let service = [
        ("PGSERVICE", "s"),
        ("PGSERVICEFILE", services.to_str().unwrap()),
        ("PGUSER", "nobody"),
        ("PGDATABASE", "postgres"),
    ];
    run("compare", "", &service, "connected");
}

#[test]
fn it_adds_to_a_url_what_that_leaves_out() {
    let folder = tempfile::tempdir().unwrap();
    let port = port();
    let passwords = format!("127.0.0.1:{port}:postgres:scram:{PASSWORD}\n");
    file(folder.path(), ".pgpass", &passwords);
    let home = ("HOME", folder.path().to_str().unwrap());
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?application_name=mine");
    let others = [
        ("PGPORT", "1"),
        ("PGDATABASE", "gone"),
        ("PGAPPNAME", "others"),
    ];
    let name = run("compare", &url, &tcp(&port, &others), "connected");
    assert_eq!(name, "pglock: mine");
    let named = tcp(&port, &[home, ("PGAPPNAME", "theirs")]);
    let name = run("compare", "postgres://scram@/postgres", &named, "connected");
    assert_eq!(name, "pglock: theirs");
    run("compare", "user=scram", &named, "connected");
}

#[test]
fn it_is_the_default_database_or_the_error_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let port = port();
    let passwords = file(folder.path(), ".pgpass", &format!("*:*:*:*:{PASSWORD}\n"));
    open_to(&passwords, 0o644);
    run(
        "default",
        "",
        &tcp(&port, &[("PGPASSWORD", PASSWORD)]),
        "ok",
    );
    let refused = |role, more: &[Variable<'_>]| run(role, "", &tcp(&port, more), "refused");
    for (more, says) in [
        (("PGPASSWORD", "hunter3"), "the password is wrong"),
        (
            ("HOME", folder.path().to_str().unwrap()),
            "others may read it",
        ),
        (
            ("PGPORT", "5432x"),
            "the environment: `PGPORT` is not a number",
        ),
    ] {
        let error = refused("refused by both", &[more]);
        assert!(error.contains(says), "{error}");
    }
    let nothing = run("refused", "", &[], "refused");
    assert!(
        nothing.starts_with("there is no default database"),
        "{nothing}"
    );
    assert!(
        nothing.contains("DATABASE_URL") && nothing.contains("PGHOST"),
        "{nothing}"
    );
}
