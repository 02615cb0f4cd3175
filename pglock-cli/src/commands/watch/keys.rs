//! What each key asks for. Pure.

use super::input::Key;
use super::model::{Action, Mode, Step};
use crate::args::View;
use crate::commands::act::victims::Verb;

/// The keys that the last line of the screen names.
pub(super) const HINTS: [(&str, &str); 11] = [
    ("↑↓", "move"),
    ("⏎", "details"),
    ("c", "cancel"),
    ("t", "terminate"),
    ("space", "tag"),
    ("/", "filter"),
    ("s", "sort"),
    ("p", "pause"),
    ("y", "copy"),
    ("?", "help"),
    ("q", "quit"),
];

/// All keys, as the help has them.
pub(super) const HELP: [(&str, &str); 16] = [
    ("1 2 3 4, Tab", "the views: blocked, locks, named, sessions"),
    ("↑ ↓, j k", "move; also PgUp, PgDn, Home, End"),
    ("Enter", "all that is known of the session"),
    ("c, C", "cancel what the session is doing, after a question"),
    ("t, K", "terminate the session, after a question"),
    (
        "space",
        "tag: c and t concern the tagged sessions that are shown",
    ),
    ("u", "take all tags away"),
    (
        "/",
        "show only rows with these words, and in a tree their whole tree",
    ),
    ("s", "sort by something else"),
    ("p", "pause, and go on"),
    ("r", "look now"),
    (
        "y",
        "copy the statement (by OSC 52, which a terminal may refuse)",
    ),
    ("Esc", "take filter and tags away"),
    ("Ctrl-L", "draw the screen anew"),
    ("Ctrl-Z", "stop; `fg` comes back"),
    ("q, Ctrl-C", "quit"),
];

pub(super) fn action(mode: &Mode, key: Key) -> Option<Action> {
    match key {
        Key::Control('c') => return Some(Action::Interrupt),
        Key::Control('z') => return Some(Action::Suspend),
        Key::Control('l') => return Some(Action::Redraw),
        _ => {}
    }
    match mode {
        Mode::Browse => browse(key),
        Mode::Filter(_) => filter(key),
        Mode::Question(_) => Some(Action::Answer(key == Key::Char('y'))),
        Mode::Details { .. } => details(key),
        Mode::Help => Some(Action::Leave),
    }
}

fn step(key: Key) -> Option<Action> {
    let step = match key {
        Key::Up => Step::By(-1),
        Key::Down => Step::By(1),
        Key::PageUp => Step::Pages(-1),
        Key::PageDown => Step::Pages(1),
        Key::Home => Step::First,
        Key::End => Step::Last,
        _ => return None,
    };
    Some(Action::Move(step))
}

fn browse(key: Key) -> Option<Action> {
    Some(match key {
        Key::Char('k') => Action::Move(Step::By(-1)),
        Key::Char('j') => Action::Move(Step::By(1)),
        Key::Char('g') => Action::Move(Step::First),
        Key::Char('G') => Action::Move(Step::Last),
        Key::Char('1') => Action::Show(View::Blocked),
        Key::Char('2') => Action::Show(View::Locks),
        Key::Char('3') => Action::Show(View::Named),
        Key::Char('4') => Action::Show(View::Sessions),
        Key::Tab | Key::Right => Action::Turn(1),
        Key::BackTab | Key::Left => Action::Turn(-1),
        Key::Enter => Action::Details,
        // The capitals are those of pg_activity.
        Key::Char('c' | 'C') => Action::Ask(Verb::Cancel),
        Key::Char('t' | 'K') => Action::Ask(Verb::Terminate),
        Key::Char(' ') => Action::Tag,
        Key::Char('u') => Action::Untag,
        Key::Char('/') => Action::Filter,
        Key::Char('s') => Action::Sort,
        Key::Char('p') => Action::Pause,
        Key::Char('r') => Action::Look,
        Key::Char('y') => Action::Copy,
        Key::Char('?' | 'h') | Key::F1 => Action::Help,
        Key::Char('q') => Action::Quit,
        Key::Escape => Action::Leave,
        other => return step(other),
    })
}

fn filter(key: Key) -> Option<Action> {
    Some(match key {
        Key::Char(character) => Action::Type(character),
        Key::Backspace => Action::Erase,
        Key::Control('u') => Action::EraseAll,
        Key::Enter => Action::Keep,
        Key::Escape => Action::Leave,
        other => return step(other),
    })
}

fn details(key: Key) -> Option<Action> {
    Some(match key {
        Key::Char('k') => Action::Move(Step::By(-1)),
        Key::Char('j') => Action::Move(Step::By(1)),
        Key::Char('y') => Action::Copy,
        Key::Escape | Key::Enter | Key::Char('q') => Action::Leave,
        other => return step(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::watch::model::Question;

    fn question() -> Mode {
        Mode::Question(Question::default())
    }

    #[test]
    fn only_y_says_yes() {
        assert_eq!(
            action(&question(), Key::Char('y')),
            Some(Action::Answer(true))
        );
        let others = ['Y', 'n', 't', ' ', 'q', 'j'].map(Key::Char);
        let others = others
            .into_iter()
            .chain([Key::Enter, Key::Escape, Key::Up, Key::Other]);
        for key in others {
            assert_eq!(
                action(&question(), key),
                Some(Action::Answer(false)),
                "{key:?}"
            );
        }
    }

    #[test]
    fn a_y_that_answers_nothing_copies_or_is_typed() {
        assert_eq!(action(&Mode::Browse, Key::Char('y')), Some(Action::Copy));
        let filter = Mode::Filter(String::new());
        assert_eq!(action(&filter, Key::Char('y')), Some(Action::Type('y')));
    }

    #[test]
    fn control_keys_are_the_same_everywhere() {
        for mode in [
            Mode::Browse,
            Mode::Filter(String::new()),
            question(),
            Mode::Help,
        ] {
            assert_eq!(action(&mode, Key::Control('c')), Some(Action::Interrupt));
            assert_eq!(action(&mode, Key::Control('z')), Some(Action::Suspend));
        }
        assert_eq!(action(&Mode::Browse, Key::Control('t')), None);
    }

    #[test]
    fn letters_of_pg_activity_mean_the_same() {
        let key = |letter| action(&Mode::Browse, Key::Char(letter));
        assert_eq!(key('K'), Some(Action::Ask(Verb::Terminate)));
        assert_eq!(key('C'), Some(Action::Ask(Verb::Cancel)));
    }
}
