//! Any text at all as a database's URL: it is read, or refused as a mistake, and its password is told to nobody.

use pglock::Database;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

const PASSWORD: &str = "hunter2";

/// Pieces of what people write, right and wrong.
const PIECES: [&str; 44] = [
    "postgres://",
    "postgresql://",
    "postgres:",
    "//",
    "/",
    ":",
    "@",
    "@",
    "?",
    "&",
    "=",
    "%",
    "%40",
    "%zz",
    "[::1]",
    "::1",
    "127.0.0.1",
    "localhost",
    "db.example",
    ",",
    ":5432",
    ":0",
    ":99999",
    "app",
    "user",
    "host=",
    "hostaddr=",
    "port=",
    "dbname=",
    "user=",
    "password=",
    "sslmode=",
    "require",
    "verify-full",
    "sslrootcert=",
    "connect_timeout=",
    "keepalives=",
    "target_session_attrs=read-write",
    "application_name=",
    "options=",
    "'",
    "\\",
    " ",
    "\u{0}",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => select(&PIECES[..]).prop_map(str::to_owned),
        1 => "[a-z0-9]{0,6}",
        1 => any::<String>(),
        1 => any::<i32>().prop_map(|number| number.to_string()),
    ];
    vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

/// A password as it is drawn by chance, with what has a meaning in URLs and in keyword strings in it.
fn password() -> impl Strategy<Value = String> {
    let part = || {
        prop_oneof![
            "[a-z0-9@/?#:%&!$' \\\\]{0,6}",
            // It would be an option of its own in a keyword string.
            any::<String>().prop_map(|text| text.replace('=', "")),
        ]
    };
    (part(), part()).prop_map(|(before, after)| format!("{before}{PASSWORD}{after}"))
}

/// Where a password stands.
fn with_password() -> impl Strategy<Value = String> {
    let forms: [fn(String) -> String; 4] = [
        |password| format!("postgres://app:{password}@db.example:5432/app?connect_timeout=3"),
        |password| format!("postgresql://app@db.example/app?password={password}&user=app"),
        |password| format!("host=db.example password={password} user=app"),
        |password| format!("host=db.example password='{password}' user=app"),
    ];
    (select(forms.to_vec()), password()).prop_map(|(form, password)| form(password))
}

fn for_all(inputs: impl Strategy<Value = String>, property: impl Fn(&str)) {
    let mut runner = TestRunner::new(Config {
        cases: 3000,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&inputs, |text| {
        property(&text);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn it_is_read_or_refused_as_a_mistake() {
    for_all(text(), |text| match Database::builder(text).build() {
        Ok(database) => assert_eq!(database, database.clone()),
        Err(error) => assert!(error.is_config(), "{error:?}"),
    });
}

#[test]
fn its_password_is_shown_to_nobody() {
    for_all(with_password(), |text| {
        let told = match Database::builder(text).build() {
            Ok(database) => format!("{database:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        assert!(!told.contains(PASSWORD), "{told}");
    });
}
