//! `ls --fields`: what can be asked of a lock.

use pglock::{LockKind, LockMode, ParseNameError, RelKind, State};

use crate::show;
use crate::text;

/// The fields of a lock, and what each has.
const OF_LOCK: [(&str, &str); 17] = [
    ("kind", "(or type) KINDS"),
    ("mode", "MODES"),
    ("granted", "True, or False while it is waited for"),
    ("wait_start", "a time"),
    ("wait_duration", "a duration"),
    ("rel_kind", "RELATIONS"),
    ("rel_name", "a text: the table's name"),
    ("schema", "a text: its schema"),
    ("classid", "a number: of pg_locks, as objid and objsubid"),
    ("objid", "a number"),
    ("objsubid", "a number"),
    ("rel_oid", "a number: the table's; filters only"),
    (
        "rel_of_row",
        "True if the table is that of a row; filters only",
    ),
    (
        "object",
        "a text: what a lock of kind OBJECT is on; filters only",
    ),
    ("lock", "what is locked, in words; columns only"),
    ("held_since", "a time, where it is known; columns only"),
    ("pid", "a number: of the session"),
];

/// Those of a session.
const OF_SESSION: [(&str, &str); 20] = [
    ("pid", "a number"),
    ("application_name", "a text"),
    ("user", "a text: its role"),
    ("state", "STATES"),
    (
        "does",
        "its state and since when, or WAITS_TOO of who blocks; columns only",
    ),
    ("query", "a text: its statement, or the last one"),
    ("start", "a time: of that statement"),
    ("duration", "a duration: since then"),
    ("context", "a text: of pgactivity"),
    ("xact_start", "a time: of its transaction"),
    ("backend_start", "a time: when it connected"),
    ("state_change", "a time"),
    ("wait_event_type", "a text: what it waits for, as LOCK"),
    ("wait_event", "a text"),
    ("backend_xid", "a text"),
    ("backend_xmin", "a text"),
    (
        "backend_type",
        "a text: the kind of process, as CLIENT_BACKEND",
    ),
    ("client_addr", "a text"),
    ("client_hostname", "a text"),
    ("client_port", "a number"),
];

const LOOKUPS: &str = "\
Lookups, as in -f wait_duration__gte=5s and -x activity__application_name__startswith=cron:
  exact, or none; in=a,b; isnull=True       of all
  gt, gte, lt, lte; range=a,b               of numbers, times, durations and texts
  iexact, contains, startswith, endswith, regex; icontains, istartswith, iendswith, iregex
                                            of texts and of words in capitals
Durations are written as 5s or '1 hour 30 minutes', times as '2030-01-01 12:00+00'.
";

pub(super) fn all() -> String {
    let lines = |fields: &[(&str, &str)]| -> String {
        let indent = 2 + 16 + 2;
        let most = show::width().unwrap_or(100).saturating_sub(indent).max(40);
        let line = |(name, has): &(&str, &str)| {
            let lines = text::wrapped(&with_words(has), most);
            format!(
                "  {name:16}  {}\n",
                lines.join(&format!("\n{:indent$}", ""))
            )
        };
        fields.iter().map(line).collect()
    };
    format!(
        "Of a lock:\n{}\n\
         Of the session that holds it, or waits for it; in filters with activity__ before it:\n{}\n\
         Of who blocks it, with blocked: the same with blocking_activity__ before it.\n\n{LOOKUPS}",
        lines(&OF_LOCK),
        lines(&OF_SESSION),
    )
}

/// With the words that there are.
fn with_words(has: &str) -> String {
    has.replace("KINDS", &words::<LockKind>())
        .replace("MODES", &words::<LockMode>())
        .replace("RELATIONS", &words::<RelKind>())
        .replace("STATES", &words::<State>())
}

/// The library names them where one is not known.
fn words<T: std::str::FromStr<Err = ParseNameError>>() -> String {
    let error = "?".parse::<T>().err();
    let told = error.map(|error| error.to_string()).unwrap_or_default();
    let words = told.split_once("write one of ").map(|(_, words)| words);
    words.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::attribute::Attribute;

    /// What is no field is refused with those that there are.
    fn filters() -> Vec<String> {
        let error = pglock::blocked_locks().filter("none=1").unwrap_err();
        let told = error.to_string();
        let (_, fields) = told.split_once("the fields are ").unwrap();
        let names = fields
            .split(", ")
            .map(|name| name.replace(" (or type)", ""));
        names.collect()
    }

    #[test]
    fn each_field_is_what_it_is_said_to_be() {
        for (prefix, fields) in [
            ("", &OF_LOCK[..]),
            ("activity__", &OF_SESSION),
            ("blocking_activity__", &OF_SESSION),
        ] {
            for (name, has) in fields {
                let name = format!("{prefix}{name}");
                let filter = format!("{name}__isnull=True");
                let is_filter = pglock::blocked_locks().filter(filter).is_ok();
                assert_eq!(is_filter, !has.contains("columns only"), "{name}");
                let is_column = Attribute::parse(&name).is_ok();
                assert_eq!(is_column, !has.contains("filters only"), "{name}");
            }
        }
    }

    #[test]
    fn none_is_left_out() {
        let is_listed = |name: &String| match name.rsplit_once("activity__") {
            Some((_, name)) => OF_SESSION.iter().any(|(field, _)| field == &name),
            None => OF_LOCK.iter().any(|(field, _)| field == name),
        };
        let missing: Vec<_> = filters()
            .into_iter()
            .filter(|name| !is_listed(name))
            .collect();
        assert_eq!(missing, Vec::<String>::new());
        let text = all();
        for word in [
            "ADVISORY",
            "ACCESS_EXCLUSIVE",
            "PARTITIONED_TABLE",
            "IDLE_IN_TRANSACTION",
        ] {
            assert!(text.contains(word), "{text}");
        }
    }
}
