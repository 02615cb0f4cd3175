//! Texts that are safe for a terminal, whatever a session is called.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The text in one line, without characters that would control a terminal or make text look like something else.
pub(crate) fn one_line(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(harmless).collect();
    words.join(" ")
}

/// The same, line by line.
pub(crate) fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| harmless(&line.replace('\t', "    ")))
        .collect()
}

fn harmless(text: &str) -> String {
    let replaced = |character| {
        if is_harmless(character) {
            character
        } else {
            char::REPLACEMENT_CHARACTER
        }
    };
    text.chars().map(replaced).collect()
}

/// Neither a control character nor an invisible one that changes how its neighbours look.
fn is_harmless(character: char) -> bool {
    let unseen = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !unseen && !character.is_control()
}

/// A statement in one line. Those of pglock's own sessions are long, and say nothing but what pglock does.
pub(crate) fn statement(query: &str) -> String {
    let query = one_line(query);
    match query.strip_prefix("/* pglock: ") {
        Some(rest) if rest.contains(" held ") && rest.ends_with("*/") => {
            "(pglock holds)".to_owned()
        }
        Some(_) => "(pglock)".to_owned(),
        None => query,
    }
}

/// How many columns of a terminal the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// At most so many columns of it; what is cut off shows as `…`.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut left = most.saturating_sub(1);
    for character in text.chars() {
        let width = character.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        cut.push(character);
    }
    if most > 0 {
        cut.push('…');
    }
    cut
}

/// The same, but of a state and its time, such as `IDLE_IN_TRANSACTION 43.0 s`, the state is cut as long as something is
/// left of it.
pub(crate) fn cut_state(text: &str, most: usize) -> String {
    const LEAST: usize = 6;
    match text.split_once(' ') {
        Some((state, time)) if width(time) + 1 + LEAST <= most => {
            let state = cut(state, most - 1 - width(time));
            format!("{state} {time}")
        }
        _ => cut(text, most),
    }
}

/// The text in lines of so many columns, broken between words where that is possible.
#[cfg(feature = "watch")]
pub(crate) fn wrap(text: &str, most: usize) -> Vec<String> {
    let most = most.max(2);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else {
            break;
        };
        let is_first = line.is_empty();
        if width(line) + usize::from(!is_first) + width(word) <= most {
            if !is_first {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !is_first {
            lines.push(String::new());
        }
        for character in word.chars() {
            let wide = character.width().unwrap_or(0);
            match lines.last_mut() {
                Some(line) if width(line) + wide <= most => line.push(character),
                _ => lines.push(character.to_string()),
            }
        }
    }
    lines
}

/// A duration with two units at most; what is smaller is cut off.
pub(crate) fn duration(duration: Duration) -> String {
    let (seconds, tenths) = (duration.as_secs(), duration.subsec_millis() / 100);
    match seconds {
        0 => format!("{} ms", duration.as_millis()),
        1..60 => format!("{seconds}.{tenths} s"),
        60..3_600 => units(seconds, (60, "min"), (1, "s")),
        3_600..86_400 => units(seconds, (3_600, "h"), (60, "min")),
        _ => units(seconds, (86_400, "d"), (3_600, "h")),
    }
}

/// One that somebody has chosen: mostly of whole seconds, without tenths then.
// Input:  30 seconds
// Output: 30 s
pub(crate) fn chosen(duration: Duration) -> String {
    self::duration(duration).replace(".0 ", " ")
}

fn units(seconds: u64, large: (u64, &str), small: (u64, &str)) -> String {
    let text = format!("{} {}", seconds / large.0, large.1);
    match seconds % large.0 / small.0 {
        0 => text,
        rest => format!("{text} {rest} {}", small.1),
    }
}

/// In lines of at most so many columns, as far as its words allow.
pub(crate) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if line.is_empty() {
            line.push_str(word);
        } else if width(line) + 1 + width(word) <= most {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_control_a_terminal_is_replaced() {
        assert_eq!(one_line("  a\n\tb  "), "a b");
        assert_eq!(one_line("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        for evil in "\0\u{7}\u{8}\u{7f}\u{9b}\u{202e}\u{2066}\u{200b}\u{feff}\u{e0041}".chars() {
            assert_eq!(one_line(&format!("a{evil}b")), "a\u{fffd}b", "{evil:?}");
        }
        assert_eq!(lines("a\r\n\tb"), ["a", "    b"]);
    }

    #[test]
    fn statements_of_pglock_are_said_in_a_word() {
        let held = r#"/* pglock: "nightly-report" held 16 s */"#;
        assert_eq!(statement(held), "(pglock holds)");
        let waits = r#"/* pglock: "nightly-report" */; SELECT pg_catalog.set_config('lock_timeout', '0', true)"#;
        assert_eq!(statement(waits), "(pglock)");
        assert_eq!(statement("SELECT\n 1"), "SELECT 1");
    }

    #[test]
    fn cuts_count_columns() {
        assert_eq!(cut("größer", 6), "größer");
        assert_eq!(cut("größer!", 6), "größe…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("ab", 0), "");
    }

    #[test]
    fn of_a_state_the_time_is_cut_last() {
        let idle = "IDLE_IN_TRANSACTION 43.0 s";
        assert_eq!(cut_state(idle, 26), idle);
        assert_eq!(cut_state(idle, 25), "IDLE_IN_TRANSACTI… 43.0 s");
        assert_eq!(cut_state(idle, 13), "IDLE_… 43.0 s");
        assert_eq!(cut_state(idle, 12), "IDLE_IN_TRA…");
        assert_eq!(cut_state("DISABLED", 7), "DISABL…");
    }

    #[cfg(feature = "watch")]
    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a verylongword b", 6), ["a", "verylo", "ngword", "b"]);
        assert_eq!(wrap("日本語", 5), ["日本", "語"]);
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (millis, text) in [
            (7, "7 ms"),
            (43_000, "43.0 s"),
            (60_000, "1 min"),
            (7_265_000, "2 h 1 min"),
            (180_000_000, "2 d 2 h"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(chosen(Duration::from_secs(30)), "30 s");
        assert_eq!(chosen(Duration::from_millis(1_500)), "1.5 s");
    }

    #[test]
    fn texts_are_wrapped_between_words() {
        assert_eq!(
            wrapped("a word and another", 8),
            ["a word", "and", "another"]
        );
        assert_eq!(wrapped("unbreakable", 3), ["unbreakable"]);
    }
}
