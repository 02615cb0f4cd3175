//! What libpq takes for granted on this host: where its server is, and who connects.

use std::env;
use std::path::{Path, PathBuf};

/// Where servers have their sockets: on Debian and Red Hat, and as Postgres itself is built.
const FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The host where none is named: the folder with the socket of a local server, or where that would be. Elsewhere than on
/// Unix it is `localhost`.
pub(super) fn host(port: u16) -> &'static str {
    if !cfg!(unix) {
        return "localhost";
    }
    let has_socket = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    let found = FOLDERS.into_iter().find(has_socket);
    let likely = || {
        FOLDERS
            .into_iter()
            .find(|folder| Path::new(folder).is_dir())
    };
    found.or_else(likely).unwrap_or(FOLDERS[1])
}

/// Whether it is the folder of a local server, which files with passwords call `localhost`.
pub(super) fn is_default_folder(folder: &Path) -> bool {
    FOLDERS
        .into_iter()
        .any(|default| Path::new(default) == folder)
}

/// The file with this user's passwords, whether there is one or not.
pub(super) fn password_file() -> Option<PathBuf> {
    if cfg!(windows) {
        let folder = env::var_os("APPDATA")?;
        return Some(Path::new(&folder).join("postgresql").join("pgpass.conf"));
    }
    env::home_dir().map(|home| home.join(".pgpass"))
}

/// The user of the operating system, if the environment says it.
pub(super) fn user() -> Option<String> {
    let variables = if cfg!(windows) {
        ["USERNAME", "USER"]
    } else {
        ["USER", "LOGNAME"]
    };
    let mut names = variables
        .into_iter()
        .filter_map(|variable| env::var(variable).ok());
    names.find(|name| !name.is_empty())
}
