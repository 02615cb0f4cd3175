//! Sessions and locks in words, safe for a line of a terminal. Pure.

use super::model::WaitSession;
use crate::error::{humanize, process_without_client};
use crate::view::{Lock, LockKind, State};

/// How many characters of a statement are shown.
pub(super) const MOST_OF_A_STATEMENT: usize = 80;
/// How many characters of a name are shown: as many as Postgres allows for its own names.
const MOST_OF_A_NAME: usize = 63;

/// The text in one line of at most `most` characters. Characters that would control a terminal, or make text look like
/// something else, are replaced.
pub(super) fn one_line(text: &str, most: usize) -> String {
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

/// The session's name where it is mentioned again.
pub(super) fn short(session: &WaitSession) -> String {
    match &session.prepared {
        None => session.activity.pid.to_string(),
        Some(prepared) => match &prepared.gid {
            None => "a prepared transaction".to_owned(),
            // A gid is up to 200 bytes long, and ending the transaction needs all of it.
            Some(gid) => format!("prepared transaction \"{}\"", one_line(gid, 200)),
        },
    }
}

/// The session with its user and application.
pub(super) fn session(session: &WaitSession) -> String {
    let known = |what: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty())?;
        Some(format!("{what}\"{}\"", name(text)))
    };
    let (pid, details) = match &session.prepared {
        None => {
            let activity = &session.activity;
            (
                format!("pid {}", activity.pid),
                [
                    activity
                        .backend_type
                        .as_deref()
                        .and_then(process_without_client),
                    known("", &activity.application_name),
                    known("user ", &activity.user),
                ],
            )
        }
        Some(prepared) => (
            short(session),
            [
                known("user ", &prepared.owner),
                known("database ", &prepared.database),
                None,
            ],
        ),
    };
    let details: Vec<String> = details.into_iter().flatten().collect();
    if details.is_empty() {
        pid
    } else {
        format!("{pid} ({})", details.join(", "))
    }
}

/// What a session that does not wait is doing; `None` if that is not visible, and for a prepared transaction.
pub(super) fn doing(session: &WaitSession) -> Option<String> {
    let state = session.activity.state?;
    Some(match session.activity.duration {
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
pub(super) fn statement(session: &WaitSession) -> Option<String> {
    let query = session.activity.query.as_deref()?;
    let line = one_line(query, MOST_OF_A_STATEMENT);
    (!line.is_empty()).then_some(line)
}

/// The mode, and what is locked.
pub(super) fn lock(lock: &Lock) -> String {
    let relation = || match (&lock.schema, &lock.rel_name) {
        (Some(schema), Some(relation)) => format!("{}.{}", name(schema), name(relation)),
        _ => "a relation".to_owned(),
    };
    let what = match lock.kind {
        LockKind::Relation => match lock.rel_kind {
            Some(kind) if lock.rel_name.is_some() => {
                let kind = kind.as_str().to_lowercase().replace('_', " ");
                format!("{kind} {}", relation())
            }
            _ => relation(),
        },
        LockKind::Extend => format!("the length of {}", relation()),
        LockKind::Page => format!("a page of {}", relation()),
        LockKind::Tuple => format!("a row of {}", relation()),
        LockKind::TransactionId | LockKind::SpecToken if lock.rel_of_row => {
            format!("a transaction, for a row of {}", relation())
        }
        LockKind::TransactionId | LockKind::VirtualXid => "a transaction".to_owned(),
        LockKind::Advisory => match (&lock.advisory_name, &lock.advisory_key) {
            (Some(text), _) => format!("advisory lock \"{}\"", name(text)),
            (None, Some(key)) => format!("advisory lock {key}"),
            (None, None) => "an advisory lock".to_owned(),
        },
        kind => kind.to_string(),
    };
    format!("{} on {what}", lock.mode)
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use crate::model::lock_id::LockId;
    use crate::view::{LockMode, RelKind};
    use proptest::prelude::*;

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
            (LockKind::Object, "OBJECT"),
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
    }
}
