//! Where and with what it is measured.

use std::process::Command;
use std::time::SystemTime;

use postgres::{Client, NoTls};

/// The machine, the versions and the date, a line each.
pub(crate) fn facts(url: &str, command: &str) -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let mut facts = vec![
        format!("{} by `{command}`{}", date(), load()),
        format!("{cores} cores of {}, {}", cpu(), system()),
        format!("Postgres {}, {}", postgres(url), rustc()),
    ];
    let crates = ["sqlx", "tokio-postgres", "postgres", "tokio"];
    let crates = crates.map(|name| format!("{name} {}", locked_version(name)));
    facts.push(format!(
        "pglock {} ({}), {}",
        env!("CARGO_PKG_VERSION"),
        commit(),
        crates.join(", ")
    ));
    if cfg!(debug_assertions) {
        facts.push("**without optimizations: these figures compare nothing**".to_owned());
    }
    facts
}

fn date() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.replace('T', " ").replace('Z', " UTC")
}

/// How busy the machine is already.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().filter(|load| !load.is_empty());
    load.map_or(String::new(), |load| {
        format!(", load average {load} when it began")
    })
}

fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, model)| model.to_owned(),
    )
}

fn system() -> String {
    output("uname", &["-sr"]).unwrap_or_else(|| std::env::consts::OS.to_owned())
}

fn postgres(url: &str) -> String {
    let mut client = Client::connect(url, NoTls).expect("the server takes connections");
    let row = client.query_one("SHOW server_version", &[]);
    row.expect("the server has a version").get(0)
}

fn rustc() -> String {
    output("rustc", &["--version"]).unwrap_or_else(|| "rustc of an unknown version".to_owned())
}

fn commit() -> String {
    output("git", &["describe", "--always", "--dirty"]).map_or_else(
        || "no commit".to_owned(),
        |commit| format!("commit {commit}"),
    )
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}

/// The version of a crate that is built in.
fn locked_version(name: &str) -> &'static str {
    let name = format!("name = \"{name}\"");
    let mut lines = include_str!("../../Cargo.lock").lines();
    lines.find(|&line| line == name);
    let version = lines.next().and_then(|line| line.split('"').nth(1));
    version.unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::locked_version;

    #[test]
    fn versions_are_those_of_the_lock_file() {
        assert!(locked_version("tokio-postgres").starts_with("0."));
        assert_eq!(locked_version("no-such-crate"), "?");
    }
}
