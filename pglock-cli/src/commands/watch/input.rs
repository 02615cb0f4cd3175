//! From the bytes of a terminal to keys. Pure.
//!
//! Not crossterm's reader: in the middle of a sequence that one blocks, where a signal has to be heard, and it does not
//! say which keys were typed before a certain moment.

use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    /// With the letter, in lower case.
    Control(char),
    Enter,
    Escape,
    Backspace,
    Tab,
    BackTab,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    F1,
    /// One that has no meaning here, such as any with Alt.
    Other,
}

const ESCAPE: u8 = 0x1b;
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Takes bytes as they come, in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Parser {
    keys: VecDeque<Key>,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Ground,
    /// The first bytes of a character.
    Character(Vec<u8>),
    Escape,
    /// `ESC [` and what followed.
    Sequence(Vec<u8>),
    /// `ESC O`.
    Shifted,
    /// What was pasted is passed over, since nobody has read what it would do; its last bytes.
    Paste(Vec<u8>),
}

impl Parser {
    pub(super) fn next(&mut self) -> Option<Key> {
        self.keys.pop_front()
    }

    /// Throws away the keys that have not been asked for.
    pub(super) fn forget(&mut self) {
        self.keys.clear();
    }

    /// Whether it is in the middle of a key; or the key was Escape.
    pub(super) fn is_within(&self) -> bool {
        !matches!(self.state, State::Ground | State::Paste(_))
    }

    /// Nothing has followed.
    pub(super) fn end(&mut self) {
        if self.is_within() {
            let key = match std::mem::take(&mut self.state) {
                State::Escape => Key::Escape,
                _ => Key::Other,
            };
            self.keys.push_back(key);
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let state = std::mem::take(&mut self.state);
            self.state = self.step(state, *byte);
        }
    }

    fn step(&mut self, state: State, byte: u8) -> State {
        match state {
            State::Ground => return self.ground(byte),
            State::Character(mut bytes) => {
                bytes.push(byte);
                match std::str::from_utf8(&bytes) {
                    Ok(text) => self.keys.extend(text.chars().map(Key::Char)),
                    Err(error) if error.error_len().is_none() => return State::Character(bytes),
                    Err(_) => self.keys.push_back(Key::Other),
                }
            }
            State::Escape => match byte {
                b'[' => return State::Sequence(Vec::new()),
                b'O' => return State::Shifted,
                ESCAPE => {
                    self.keys.push_back(Key::Escape);
                    return State::Escape;
                }
                // With Alt.
                _ => self.keys.push_back(Key::Other),
            },
            State::Shifted => self.keys.push_back(shifted(byte)),
            State::Sequence(mut bytes) => {
                bytes.push(byte);
                match byte {
                    0x20..=0x3f => return State::Sequence(bytes),
                    b'~' if bytes == b"200~" => return State::Paste(Vec::new()),
                    _ => self.keys.push_back(sequence(&bytes)),
                }
            }
            State::Paste(mut last) => {
                last.push(byte);
                if last.len() > PASTE_ENDS.len() {
                    last.remove(0);
                }
                if last != PASTE_ENDS {
                    return State::Paste(last);
                }
            }
        }
        State::Ground
    }

    fn ground(&mut self, byte: u8) -> State {
        let key = match byte {
            ESCAPE => return State::Escape,
            b'\r' | b'\n' => Key::Enter,
            b'\t' => Key::Tab,
            0x7f | 0x08 => Key::Backspace,
            1..=26 => Key::Control(char::from(byte - 1 + b'a')),
            0x20..0x7f => Key::Char(char::from(byte)),
            0x80.. => return State::Character(vec![byte]),
            _ => Key::Other,
        };
        self.keys.push_back(key);
        State::Ground
    }
}

fn shifted(byte: u8) -> Key {
    match byte {
        b'P' => Key::F1,
        letter => of_letter(letter),
    }
}

/// What follows `ESC [`. A modifier, as in `1;5A`, makes it another key.
fn sequence(bytes: &[u8]) -> Key {
    match bytes {
        [letter] => of_letter(*letter),
        b"1~" | b"7~" => Key::Home,
        b"4~" | b"8~" => Key::End,
        b"5~" => Key::PageUp,
        b"6~" => Key::PageDown,
        b"11~" => Key::F1,
        _ => Key::Other,
    }
}

fn of_letter(letter: u8) -> Key {
    match letter {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        b'Z' => Key::BackTab,
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pieces: &[&[u8]]) -> Vec<Key> {
        let mut parser = Parser::default();
        for piece in pieces {
            parser.feed(piece);
        }
        parser.end();
        std::iter::from_fn(|| parser.next()).collect()
    }

    #[test]
    fn bytes_are_keys() {
        for (bytes, key) in [
            (&b"y"[..], Key::Char('y')),
            ("ß".as_bytes(), Key::Char('ß')),
            (b"\x03", Key::Control('c')),
            (b"\x1a", Key::Control('z')),
            (b"\r", Key::Enter),
            (b"\x1b", Key::Escape),
            (b"\x1b[A", Key::Up),
            (b"\x1bOA", Key::Up),
            (b"\x1b[6~", Key::PageDown),
            (b"\x1b[Z", Key::BackTab),
            (b"\x1bOP", Key::F1),
        ] {
            assert_eq!(keys(&[bytes]), [key], "{bytes:?}");
        }
    }

    #[test]
    fn sequences_may_come_in_pieces() {
        let bytes = "\u{1b}[B\u{1b}[5~日y".as_bytes();
        let whole = keys(&[bytes]);
        assert_eq!(
            whole,
            [Key::Down, Key::PageUp, Key::Char('日'), Key::Char('y')]
        );
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(keys(&pieces), whole);
    }

    #[test]
    fn nothing_but_a_bare_y_is_a_y() {
        for bytes in [
            &b"\x1by"[..],
            b"\x1b[y",
            b"\x1bOy",
            b"\x1b[1;3y",
            b"\xffy",
            b"\x1b[200~y",
        ] {
            assert!(!keys(&[bytes]).contains(&Key::Char('y')), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_pasted_is_passed_over() {
        assert_eq!(
            keys(&[b"a\x1b[200~ty\x1b[Ayy\x1b[201~b"]),
            [Key::Char('a'), Key::Char('b')]
        );
        assert_eq!(keys(&[b"\x1b[200~t\x1b[2", b"01~q"]), [Key::Char('q')]);
    }

    #[test]
    fn escape_is_a_key_when_nothing_follows() {
        let mut parser = Parser::default();
        parser.feed(b"\x1b");
        assert!(parser.is_within());
        assert_eq!(parser.next(), None);
        parser.end();
        assert_eq!(parser.next(), Some(Key::Escape));
        assert_eq!(keys(&[b"\x1b\x1b[A"]), [Key::Escape, Key::Up]);
    }

    #[test]
    fn what_is_forgotten_may_end_later() {
        let mut parser = Parser::default();
        parser.feed(b"y\x1b[");
        parser.forget();
        parser.feed(b"Ay");
        assert_eq!(
            (parser.next(), parser.next()),
            (Some(Key::Up), Some(Key::Char('y')))
        );
    }
}
