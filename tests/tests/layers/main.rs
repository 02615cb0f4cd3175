//! The order of the folders: a file imports only from its own folder and from those below, and no files import each other
//! in a circle. Folders and files stay small enough to be read.
//!
//! The checker reads the code with `syn`. It sees `use` lines and paths in code; it does not see which methods are called,
//! nor which names a macro makes: those count as the module that the path leads to.

mod graph;
mod imports;
mod made_up_trees;
mod modules;
mod rules;
mod syntax;

use std::path::Path;

use crate::modules::Crate;

/// The folders and files of each crate, the lowest first.
const PGLOCK: &[&str] = &[
    "error",
    "model",
    "background",
    "sql",
    "database",
    "telemetry",
    "view",
    "wire",
    "drivers",
    "engine",
    "watcher",
    "calls",
    "api",
    "rt.rs",
    "guide.rs",
    "lib.rs",
];
const PGLOCK_MACROS: &[&str] = &[
    "types.rs",
    "mark.rs",
    "leftovers.rs",
    "item.rs",
    "function.rs",
    "arguments.rs",
    "options",
    "catalog.rs",
    "wrap.rs",
    "attributes",
    "nest.rs",
    "lib.rs",
];

const PGLOCK_CLI: &[&str] = &[
    "text.rs",
    "wording.rs",
    "failure.rs",
    "args",
    "config.rs",
    "connect.rs",
    "names",
    "show",
    "commands",
    "main.rs",
];

#[test]
fn pglock_keeps_the_rules() {
    keeps_the_rules("pglock/src", PGLOCK);
}

#[test]
fn pglock_macros_keeps_the_rules() {
    keeps_the_rules("pglock-macros/src", PGLOCK_MACROS);
}

#[test]
fn pglock_cli_keeps_the_rules() {
    keeps_the_rules("pglock-cli/src", PGLOCK_CLI);
}

#[track_caller]
fn keeps_the_rules(folder: &str, layers: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let broken = rules::broken(&Crate::read(&root, folder), layers);
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}
