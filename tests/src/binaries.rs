//! Where the programs of Postgres are on this machine. `dev` looks in the same places.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The folder with the server's programs (`initdb`, `postgres`): the first of the environment
/// variable `PGLOCK_TEST_BINDIR`, `PATH`, `pg_config --bindir`, and where packages put them, the
/// highest version first.
#[must_use]
pub fn bin_dir() -> &'static Path {
    static BIN_DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        find().unwrap_or_else(|| {
            panic!(
                "no Postgres server programs (initdb, postgres) found: install the postgresql \
                 package, name their folder in PGLOCK_TEST_BINDIR, or a server in DATABASE_URL"
            )
        })
    });
    &BIN_DIR
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("PGLOCK_TEST_BINDIR") {
        return Some(PathBuf::from(named)).filter(|folder| has_server(folder));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(pg_config())
        .chain(packaged())
        .find(|folder| has_server(folder))
}

fn has_server(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
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
