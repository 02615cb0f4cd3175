//! npm's `advisory-lock`, where Node and the package are there.

use std::process::Command;

use super::script::{Script, with_database};

pub(super) fn caller(url: &str) -> Result<Script, String> {
    let mut command = Command::new("node");
    command.args(["-e", include_str!("node.js")]);
    with_database(&mut command, url);
    Script::start(command, "npm install advisory-lock, or NODE_PATH")
}
