//! Looks for the programs of Postgres. It needs nothing but `std`: `dev` compiles it with `rustc`, before there is a
//! Postgres to test on.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The first of the [`folders`] with all of these programs.
pub(crate) fn folder_of(programs: &[&str]) -> Option<PathBuf> {
    folders().find(|folder| has_all(folder, programs))
}

pub(crate) fn has_all(folder: &Path, programs: &[&str]) -> bool {
    programs.iter().all(|it| folder.join(it).is_file())
}

/// Where they may be: the folder that the environment variable `PGLOCK_TEST_BINDIR` names, those of `PATH`,
/// `pg_config --bindir`, and where packages put them, the highest version first.
pub(crate) fn folders() -> impl Iterator<Item = PathBuf> {
    let named = std::env::var_os("PGLOCK_TEST_BINDIR").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let others = std::iter::once_with(|| pg_config().into_iter().chain(packaged()));
    named.into_iter().chain(path).chain(others.flatten())
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// Debian's, Red Hat's and Homebrew's folders.
fn packaged() -> Vec<PathBuf> {
    [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ]
    .into_iter()
    .flat_map(|(parent, prefix)| versions(Path::new(parent), prefix))
    .collect()
}

/// The `bin` folders of `parent/<prefix><number>`, highest number first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, bin)| bin).collect()
}
