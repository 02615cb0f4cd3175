//! The library's errors in words for who runs the command: the library speaks to who writes the program.

use std::error::Error as _;

use tokio_postgres::error::DbError;

use crate::text;

/// What is about code, and what stands for it here.
const OF_CODE: [(&str, &str); 5] = [
    (" for a connection of this program", ""),
    ("`Database::builder`: ", ""),
    ("use `xact`, or connect to postgres", "connect to postgres"),
    (
        "there is no default database",
        "there is no database to connect to",
    ),
    (
        "or name it, in code by `pglock::configure(url)`, to the command by `-d`",
        "or pass -d with a url or a name of pglock.toml",
    ),
];

/// What stands where only the source of an error knows more: each way to say so, with what is before it.
const SEE_SOURCE: &str = "print this error with `{:?}` ";
const TO: [&str; 3] = ["to see why", "to see which", "for the details"];

/// What the error says.
// Input:  cannot acquire lock "a": postgres refused the statement; print this error with `{:?}` to see why
// Output: cannot acquire lock "a": postgres refused the statement (permission denied for schema app)
pub(crate) fn told(error: &pglock::Error) -> String {
    let mut told = error.to_string();
    for (of_code, here) in OF_CODE {
        told = told.replace(of_code, here);
    }
    let Some((before, after)) = told.split_once(SEE_SOURCE) else {
        return told;
    };
    let before = ["; ", ", and ", ", ", ": ", " and "]
        .iter()
        .find_map(|joint| before.strip_suffix(joint))
        .unwrap_or(before);
    let after = TO.iter().find_map(|to| after.strip_prefix(to));
    let after = after.unwrap_or_default();
    let after = after
        .strip_prefix(", and ")
        .map_or_else(|| after.to_owned(), |remedy| format!("; {remedy}"));
    match cause(error) {
        Some(cause) => format!("{before} ({cause}){after}"),
        None => format!("{before}{after}"),
    }
}

/// What is at the bottom of it.
fn cause(error: &pglock::Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = match cause.downcast_ref::<DbError>() {
        Some(error) => error.message().to_owned(),
        None => cause.to_string(),
    };
    Some(text::one_line(&cause))
}

#[cfg(test)]
mod tests {
    use pglock::Database;
    use pglock_tests::{TestDb, database};

    use super::*;

    fn of_url(url: &str) -> String {
        let error = Database::builder(url).build().unwrap_err();
        told(&error)
    }

    fn of_filter(db: &TestDb, filter: &str) -> String {
        let mut client = db.connect();
        let query = pglock::locks().filter(filter).unwrap();
        told(&query.fetch(&mut client).unwrap_err())
    }

    #[track_caller]
    fn is_for_operators(told: &str) {
        for of_code in ["{:?}", "Database::", "pglock::", "this program"] {
            assert!(!told.contains(of_code), "{told}");
        }
    }

    #[test]
    fn what_is_about_code_is_said_otherwise() {
        let unknown = of_url("postgres://app@localhost/app?colour=red");
        is_for_operators(&unknown);
        assert!(
            unknown.starts_with("the database URL has the unknown option"),
            "{unknown}"
        );
        let db = database();
        let wrong = of_filter(&db, "wait_duration__gte=soon");
        is_for_operators(&wrong);
        let cause = "(invalid input syntax for type interval: \"soon\")";
        assert!(wrong.ends_with(cause), "{wrong}");
    }
}
