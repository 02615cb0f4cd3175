//! `watch`, on a terminal and without one.

mod acting;
mod leaving;
mod looking;
mod without_terminal;

const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const UP: &str = "\u{1b}[A";
const DOWN: &str = "\u{1b}[B";

/// Behind the rule: the selected row.
fn about(screen: &str) -> &str {
    screen.rsplit_once("───").map_or("", |(_, about)| about)
}
