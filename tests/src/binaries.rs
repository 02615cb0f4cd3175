//! Which Postgres the tests run on.

mod search;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const SERVER: [&str; 2] = ["initdb", "postgres"];

/// The folder with the server's programs (`initdb`, `postgres`): the one that the environment
/// variable `PGLOCK_TEST_BINDIR` names, or else the first of `PATH`, `pg_config --bindir`, and
/// where packages put them, the highest version first.
#[must_use]
pub fn bin_dir() -> &'static Path {
    static BIN_DIR: LazyLock<PathBuf> =
        LazyLock::new(|| match std::env::var_os("PGLOCK_TEST_BINDIR") {
            // Not another one: the tests would run on a version that nobody asked for.
            Some(named) => {
                let named = PathBuf::from(named);
                assert!(
                    search::has_all(&named, &SERVER),
                    "{}, named in PGLOCK_TEST_BINDIR, does not have initdb and postgres",
                    named.display()
                );
                named
            }
            None => search::folder_of(&SERVER).unwrap_or_else(|| {
                panic!(
                    "no Postgres server programs (initdb, postgres) found: install the postgresql \
                     package, name their folder in PGLOCK_TEST_BINDIR, or a server in DATABASE_URL"
                )
            }),
        });
    &BIN_DIR
}
