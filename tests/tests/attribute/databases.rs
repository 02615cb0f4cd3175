//! Which database a function locks in that names none, or one by name.

use pglock::{Database, Error};
use pglock_tests::{BOUND, Child, child, database, server};

use super::DB;

/// Processes of their own, since the default database is the process'.
#[test]
fn the_default_database_is_set_once_or_is_database_url() {
    match child::role().as_deref() {
        Some("configured") => {
            let url = child::argument("URL");
            pglock::configure(&url).unwrap();
            pglock::advisory("default")
                .acquire()
                .unwrap()
                .release()
                .unwrap();
            pglock::configure(&url).unwrap();
            assert!(
                pglock::configure(child::argument("OTHER"))
                    .unwrap_err()
                    .is_config()
            );
            return child::say("ok");
        }
        Some("from the environment") => {
            pglock::advisory("default")
                .using("default")
                .acquire()
                .unwrap()
                .release()
                .unwrap();
            assert!(
                pglock::configure(child::argument("OTHER"))
                    .unwrap_err()
                    .is_config()
            );
            return child::say("ok");
        }
        Some("nowhere") => {
            let error = pglock::advisory("default").acquire().unwrap_err();
            assert!(
                error.is_config() && error.to_string().contains("DATABASE_URL"),
                "{error}"
            );
            pglock::configure(child::argument("URL")).unwrap();
            return child::say("ok");
        }
        Some("misspelled") => {
            let error = pglock::advisory("default").acquire().unwrap_err();
            let text = error.to_string();
            assert!(
                text.starts_with("DATABASE_URL: ") && text.contains("`aplication_name`"),
                "{text}"
            );
            return child::say("ok");
        }
        _ => {}
    }
    let other = server().create_database();
    for (role, url) in [
        ("configured", None),
        ("from the environment", Some(DB.url())),
        ("nowhere", None),
        (
            "misspelled",
            Some("postgres://localhost/app?aplication_name=x"),
        ),
    ] {
        let mut child = Child::of(
            "databases::the_default_database_is_set_once_or_is_database_url",
            role,
        )
        .argument("URL", DB.url())
        .argument("OTHER", other.url())
        .env("DATABASE_URL", url.unwrap_or_default())
        .start();
        child.wait_for_line("ok", BOUND);
        child.finish(BOUND);
    }
}

#[test]
fn databases_have_names() {
    let db = database();
    Database::builder(db.url())
        .build()
        .unwrap()
        .register("named")
        .unwrap();
    pglock::advisory("named")
        .using("named")
        .run(|| {
            assert_eq!(db.held(pglock::advisory_id("named")), 1);
            Ok::<_, Error>(())
        })
        .unwrap();
    let other = database();
    let error = Database::builder(other.url())
        .build()
        .unwrap()
        .register("named")
        .unwrap_err();
    assert!(error.is_config(), "{error}");
}
