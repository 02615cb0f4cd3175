//! Prints the folder with these programs of Postgres, or with the server of a version; fails if there is none.
//!
//! `which_postgres initdb postgres`, `which_postgres --version 14`
//!
//! It uses nothing of the library, which would have to be compiled first: see `tools/postgres.sh`.

#[path = "../binaries/search.rs"]
mod search;

use std::path::Path;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let folder = match *arguments {
        [] | ["--version"] => {
            eprintln!("which_postgres: name the programs to look for, or --version and a number");
            return ExitCode::from(2);
        }
        ["--version", version] => search::folders().find(|it| is_version(it, version)),
        _ => search::folder_of(&arguments),
    };
    match folder {
        Some(folder) => {
            println!("{}", folder.display());
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}

/// Whether the folder has a whole server, whose number begins with that version's.
fn is_version(folder: &Path, version: &str) -> bool {
    search::has_all(folder, &["initdb", "postgres"])
        && Command::new(folder.join("postgres"))
            .arg("--version")
            .output()
            .is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains(&format!(" {version}.")))
}
