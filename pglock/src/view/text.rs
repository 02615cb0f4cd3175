//! Sessions and locks in words, safe for a line of a terminal. Pure.

use std::fmt;

use super::enums::{LockKind, State};
use super::rows::{Activity, BlockedLock, Lock};
use crate::error::{humanize, process_without_client};

/// How many characters of a statement are shown.
const MOST_OF_A_STATEMENT: usize = 80;
/// How many characters of a name are shown: as many as Postgres allows for its own names.
const MOST_OF_A_NAME: usize = 63;

/// The text in one line of at most `most` characters. Characters that would control a terminal, or make text look like
/// something else, are replaced.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let space = (length > 0).then_some(' ');
        for character in space.into_iter().chain(word.chars()) {
            if length == most {
                line.pop();
                line.push('…');
                return line;
            }
            line.push(if is_harmless(character) {
                character
            } else {
                char::REPLACEMENT_CHARACTER
            });
            length += 1;
        }
    }
    line
}

/// Neither a control character nor an invisible one that changes how its neighbours look.
fn is_harmless(character: char) -> bool {
    let unseen = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !unseen && !character.is_control()
}

fn name(text: &str) -> String {
    one_line(text, MOST_OF_A_NAME)
}

/// A name that is known, in quotes, after the word for it.
// Input:  "user ", app
// Output: user "app"
pub(crate) fn known(what: &str, text: Option<&str>) -> Option<String> {
    let text = text.filter(|text| !text.is_empty())?;
    Some(format!("{what}\"{}\"", name(text)))
}

/// What is known of something, in parentheses behind it.
pub(crate) fn with_details(
    of: String,
    details: impl IntoIterator<Item = Option<String>>,
) -> String {
    let details: Vec<String> = details.into_iter().flatten().collect();
    if details.is_empty() {
        of
    } else {
        format!("{of} ({})", details.join(", "))
    }
}

/// The session with its application and user.
// Output: pid 4046 ("migration", user "app")
pub(crate) fn session(activity: &Activity) -> String {
    if activity.pid == 0 {
        return "a prepared transaction".to_owned();
    }
    let process = activity.backend_type.as_deref();
    with_details(
        format!("pid {}", activity.pid),
        [
            process.and_then(process_without_client),
            known("", activity.application_name.as_deref()),
            known("user ", activity.user.as_deref()),
        ],
    )
}

/// What a session that does not wait is doing; `None` if that is not visible, and for a prepared transaction.
pub(crate) fn doing(activity: &Activity) -> Option<String> {
    let state = activity.state?;
    Some(match activity.duration {
        None => state.to_string(),
        Some(duration) if state == State::Active => {
            format!("{state} for {}", humanize::duration(duration))
        }
        Some(duration) => format!(
            "{state}, last statement {} ago",
            humanize::duration(duration)
        ),
    })
}

/// Its statement, cut to one line.
pub(crate) fn statement(activity: &Activity) -> Option<String> {
    let query = activity.query.as_deref()?;
    let line = one_line(query, MOST_OF_A_STATEMENT);
    (!line.is_empty()).then_some(line)
}

/// The mode, and what is locked.
pub(crate) fn lock(lock: &Lock) -> String {
    format!("{} on {}", lock.mode, lock.locked_object())
}

/// The session that waits, for how long, and for which lock.
// Output: pid 4046 ("migration", user "app") waits 43 s for ACCESS_EXCLUSIVE on table public.orders
fn wait(waiting: &Lock) -> String {
    let time = waiting.wait_duration.map(humanize::duration);
    let time = time.map(|time| format!(" {time}")).unwrap_or_default();
    format!(
        "{} waits{time} for {}",
        session(&waiting.activity),
        lock(waiting)
    )
}

impl Lock {
    /// What is locked, as the text of the lock has it: `table public.orders`, `advisory lock "invoices"`.
    ///
    /// Each name is cut to 63 characters, and its control characters are replaced.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let (mut client, mut other) = (database.connect(), database.connect());
    /// let locked = pglock::advisory("invoices").on(&mut client).acquire()?;
    /// let locks = pglock::locks().filter("kind=ADVISORY")?.fetch(&mut other)?;
    /// assert_eq!(locks[0].locked_object(), "advisory lock \"invoices\"");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// See also [`pg_locks`](https://www.postgresql.org/docs/current/view-pg-locks.html).
    #[must_use]
    pub fn locked_object(&self) -> String {
        let relation = || match (&self.schema, &self.rel_name) {
            (Some(schema), Some(relation)) => format!("{}.{}", name(schema), name(relation)),
            _ => match self.rel_oid {
                Some(oid) => format!("relation {oid}"),
                None => "a relation".to_owned(),
            },
        };
        match self.kind {
            LockKind::Relation => match self.rel_kind {
                Some(kind) if self.rel_name.is_some() => {
                    let kind = kind.as_str().to_lowercase().replace('_', " ");
                    format!("{kind} {}", relation())
                }
                _ => relation(),
            },
            LockKind::Extend => format!("the length of {}", relation()),
            LockKind::Page => format!("a page of {}", relation()),
            LockKind::Tuple => format!("a row of {}", relation()),
            LockKind::TransactionId | LockKind::SpecToken if self.rel_of_row => {
                format!("a transaction, for a row of {}", relation())
            }
            LockKind::TransactionId | LockKind::VirtualXid => "a transaction".to_owned(),
            LockKind::Advisory => match (&self.advisory_name, &self.advisory_key) {
                (Some(text), _) => format!("advisory lock \"{}\"", name(text)),
                (None, Some(key)) => format!("advisory lock {key}"),
                (None, None) => "an advisory lock".to_owned(),
            },
            LockKind::Object => match &self.object {
                Some(object) => name(object),
                None => "an object".to_owned(),
            },
            kind => kind.to_string(),
        }
    }
}

/// A line as in the tree of a [wait graph](crate::WaitGraph): the session, what it is doing, and its statement, cut to 80
/// characters. Control characters are replaced.
///
/// ```text
/// pid 4045 ("report", user "app"), IDLE_IN_TRANSACTION, last statement 5 min ago: SELECT count(*) FROM orders
/// ```
impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&session(self))?;
        write_rest(f, doing(self), statement(self))
    }
}

/// A line as in the tree of a [wait graph](crate::WaitGraph): the session, the lock that it holds or waits for, and its
/// statement, cut to 80 characters. Control characters are replaced.
///
/// ```text
/// pid 4045 ("report", user "app") holds ACCESS_SHARE on table public.orders, IDLE_IN_TRANSACTION, last statement 5 min ago: SELECT count(*) FROM orders
/// pid 4046 ("migration", user "app") waits 43 s for ACCESS_EXCLUSIVE on table public.orders: ALTER TABLE orders ADD note text
/// ```
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let activity = &self.activity;
        if self.granted {
            write!(f, "{} holds {}", session(activity), lock(self))?;
            write_rest(f, doing(activity), statement(activity))
        } else {
            f.write_str(&wait(self))?;
            write_rest(f, None, statement(activity))
        }
    }
}

/// A line as in the tree of a [wait graph](crate::WaitGraph): the session that waits, for which lock, and the one that blocks
/// it, with its statement, cut to 80 characters. Control characters are replaced.
///
/// ```text
/// pid 4046 ("migration", user "app") waits 43 s for ACCESS_EXCLUSIVE on table public.orders, blocked by pid 4045 ("report", user "app"), IDLE_IN_TRANSACTION, last statement 5 min ago: SELECT count(*) FROM orders
/// ```
impl fmt::Display for BlockedLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, blocked by {}", wait(self), self.blocking_activity)
    }
}

fn write_rest(
    f: &mut fmt::Formatter<'_>,
    doing: Option<String>,
    statement: Option<String>,
) -> fmt::Result {
    if let Some(doing) = doing {
        write!(f, ", {doing}")?;
    }
    if let Some(statement) = statement {
        write!(f, ": {statement}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::model::lock_id::LockId;
    use crate::view::{LockMode, RelKind};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn statements_are_cut_to_a_line() {
        assert_eq!(one_line("  SELECT\n\t1 ,\r\n 2  ", 80), "SELECT 1 , 2");
        assert_eq!(one_line("größer", 6), "größer");
        assert_eq!(one_line("größer!", 6), "größe…");
        assert_eq!(one_line("an end", 3), "an…");
        assert_eq!(one_line(" \n ", 3), "");
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(one_line("a\u{1b}[2Jb", 80), "a\u{fffd}[2Jb");
        // Control characters of eight bits, changes of the writing direction, invisible characters.
        for evil in "\0\u{7}\u{8}\u{7f}\u{9b}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}".chars() {
            assert_eq!(one_line(&format!("a{evil}b"), 80), "a\u{fffd}b", "{evil:?}");
        }
        assert_eq!(one_line("a\u{2028}b\u{85}c", 80), "a b c");
        assert_eq!(one_line("日本語 é 🙂", 80), "日本語 é 🙂");
    }

    proptest! {
        #[test]
        fn a_line_is_one_line_and_short(text in any::<String>(), most in 1..40_usize) {
            let line = one_line(&text, most);
            prop_assert!(line.chars().count() <= most);
            prop_assert!(line.chars().all(is_harmless));
            prop_assert_eq!(line.lines().count(), usize::from(!line.is_empty()));
        }
    }

    #[test]
    fn locks_are_named_by_what_they_lock() {
        let mut found = fixture::lock(1, LockMode::Share, false);
        found.advisory_key = Some(LockId::Pair(1, -2));
        assert_eq!(lock(&found), "SHARE on advisory lock (1, -2)");
        found.advisory_name = Some("nightly\n\u{1b}".to_owned());
        assert_eq!(lock(&found), "SHARE on advisory lock \"nightly \u{fffd}\"");
        (found.schema, found.rel_name) = (Some("a\nb".to_owned()), Some("c\u{1b}".to_owned()));
        found.rel_kind = Some(RelKind::PartitionedTable);
        for (kind, expected) in [
            (LockKind::Relation, "partitioned table a b.c\u{fffd}"),
            (LockKind::Tuple, "a row of a b.c\u{fffd}"),
            (LockKind::Page, "a page of a b.c\u{fffd}"),
            (LockKind::Extend, "the length of a b.c\u{fffd}"),
            (LockKind::VirtualXid, "a transaction"),
            (LockKind::Object, "an object"),
        ] {
            found.kind = kind;
            assert_eq!(lock(&found), format!("SHARE on {expected}"));
        }
        (found.kind, found.rel_of_row) = (LockKind::TransactionId, true);
        let expected = "SHARE on a transaction, for a row of a b.c\u{fffd}";
        assert_eq!(lock(&found), expected);
        // In another database, whose relations have no name here.
        (found.kind, found.rel_name) = (LockKind::Relation, None);
        assert_eq!(lock(&found), "SHARE on a relation");
        // In a transaction that has not committed.
        found.rel_oid = Some(16412);
        assert_eq!(lock(&found), "SHARE on relation 16412");
        (found.kind, found.object) = (LockKind::Object, Some("schema a\u{1b}".to_owned()));
        assert_eq!(lock(&found), "SHARE on schema a\u{fffd}");
    }

    fn idler() -> Activity {
        Activity {
            application_name: Some("report".to_owned()),
            user: Some("app".to_owned()),
            state: Some(State::IdleInTransaction),
            duration: Some(Duration::from_secs(300)),
            query: Some("SELECT\n  1".to_owned()),
            ..fixture::activity(4045)
        }
    }

    #[test]
    fn sessions_and_locks_are_lines() {
        let doing = "IDLE_IN_TRANSACTION, last statement 5 min ago: SELECT 1";
        assert_eq!(
            idler().to_string(),
            format!("pid 4045 (\"report\", user \"app\"), {doing}")
        );
        assert_eq!(fixture::activity(7).to_string(), "pid 7");
        assert_eq!(fixture::activity(0).to_string(), "a prepared transaction");
        let mut held = fixture::lock(4045, LockMode::Exclusive, true);
        held.activity = idler();
        held.advisory_name = Some("invoices".to_owned());
        let lock = "EXCLUSIVE on advisory lock \"invoices\"";
        assert_eq!(
            held.to_string(),
            format!("pid 4045 (\"report\", user \"app\") holds {lock}, {doing}")
        );
        let mut waiting = fixture::lock(4046, LockMode::Exclusive, false);
        waiting.advisory_name.clone_from(&held.advisory_name);
        assert_eq!(
            waiting.to_string(),
            format!("pid 4046 waits 1.5 s for {lock}")
        );
        waiting.activity.query = Some("SELECT 2".to_owned());
        assert_eq!(
            waiting.to_string(),
            format!("pid 4046 waits 1.5 s for {lock}: SELECT 2")
        );
        let blocked = BlockedLock {
            lock: waiting,
            blocking_activity: idler(),
        };
        assert_eq!(
            blocked.to_string(),
            format!(
                "pid 4046 waits 1.5 s for {lock}, blocked by pid 4045 (\"report\", user \"app\"), {doing}"
            )
        );
        let mut young = blocked.lock.clone();
        young.wait_duration = None;
        assert!(
            young
                .to_string()
                .starts_with("pid 4046 waits for EXCLUSIVE ")
        );
    }
}
