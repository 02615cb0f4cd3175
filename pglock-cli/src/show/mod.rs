//! How what was found is written.

pub(crate) mod attribute;
pub(crate) mod json;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod tree;

use std::io::{self, IsTerminal as _, Write as _};

/// The width of the terminal that the output goes to; nothing where it goes elsewhere.
pub(crate) fn width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// Writes what was asked for.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Says something about it.
pub(crate) fn say(text: &str) {
    anstream::eprintln!("{text}");
}
