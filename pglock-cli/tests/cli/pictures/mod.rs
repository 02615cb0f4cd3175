//! Pictures of the command for the pages: what it draws on a terminal, of sessions that are really there.
//!
//! Where something else is drawn than the picture shows, its test fails. `UPDATE_PICTURES=1` makes the picture anew.

mod compiler;
mod scene;
mod screen;

use std::path::Path;

use clap::builder::styling::Style;

use scene::Scene;
use screen::{Row, Screen};

/// What the pages have room for.
const COLUMNS: u16 = 110;
/// Narrower and wider terminals, each with a folder of its own for its pictures.
const OTHERS: [u16; 2] = [80, 200];
const LINES: u16 = 30;

#[test]
fn ls() {
    shows("ls", &["ls"], Scene::with_pids);
}

#[test]
fn tree() {
    shows("tree", &["tree"], Scene::with_pids);
}

#[test]
fn who() {
    shows("who", &["who", "nightly-report"], Scene::with_pids);
}

/// But for what depends on the version, and what has pids in it, as long as they are.
#[test]
fn doctor() {
    let mut skipping = vec!["doctor"];
    for check in ["version", "leaked", "transactions"] {
        skipping.extend(["--skip", check]);
    }
    shows("doctor", &skipping, |_, columns| columns);
}

#[cfg(feature = "watch")]
#[test]
fn watch() {
    at_each_width("watch", |columns| {
        let mut screen = Scene::still(columns, |scene| {
            let mut terminal = scene.terminal(&["watch"], 14, scene.with_pids(columns));
            terminal.wait_until("all of it", |screen| {
                screen.contains("3 wait") && screen.ends_with("q quit")
            });
            let screen = Screen::of(&terminal);
            terminal.type_keys("q");
            terminal.wait_for_end();
            screen
        });
        if columns < COLUMNS {
            // How much of the rest there is room for depends on how long the database's name is, which is another one there.
            screen.rows[0].cut_behind("app at");
            // And how many of the keys, on how long the pids are.
            let keys = screen.rows.last_mut().expect("the keys");
            keys.cut_behind("space tag");
        }
        screen
    });
}

/// Those that the guide quotes.
#[test]
fn compile_errors() {
    let said = "../trybuild/ui/advisory/fail/quoted_in_the_guide.stderr";
    let said = Path::new(env!("CARGO_MANIFEST_DIR")).join(said);
    is("compile-errors", &compiler::screen(&said));
}

/// What the command says on a terminal. `columns` are those of a terminal that is to look as if it had so many.
#[track_caller]
fn shows(name: &str, arguments: &[&str], columns: impl Fn(&Scene, u16) -> u16) {
    at_each_width(name, |wide| {
        let drawn = Scene::still(wide, |scene| {
            let mut terminal = scene.terminal(arguments, LINES, columns(scene, wide));
            terminal.wait_for_all();
            Screen::of(&terminal)
        });
        let typed = [&["$", "pglock"], arguments].concat().join(" ");
        let mut rows = vec![Row::styled(&typed, Style::new().bold())];
        rows.extend(drawn.rows);
        Screen { rows }
    });
}

/// The pages have those of [`COLUMNS`].
#[track_caller]
fn at_each_width(name: &str, draw: impl Fn(u16) -> Screen) {
    is(name, &draw(COLUMNS));
    for columns in OTHERS {
        is(&format!("{columns}/{name}"), &draw(columns));
    }
}

#[track_caller]
fn is(name: &str, screen: &Screen) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    let path = folder.join(format!("{name}.term.svg"));
    let drawn = screen.svg();
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        std::fs::write(&path, &drawn).expect("cannot write the picture");
    }
    let picture = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        picture == drawn,
        "docs/pictures/{name}.term.svg shows something else; UPDATE_PICTURES=1 makes it anew. It is now:\n{}",
        screen.text()
    );
}
