//! Finds and reads the file of configurations.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, SEE_SOURCE};

/// The file that is searched for in the current folder and in those above it.
const FILE: &str = "pglock.toml";

/// The environment variable that names the file.
pub(super) const VARIABLE: &str = "PGLOCK_CONFIG";

/// A file with configurations, read at each use.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl File {
    /// The file that the environment variable names, or the nearest `pglock.toml`.
    pub(super) fn find(
        variable: Option<OsString>,
        current: io::Result<PathBuf>,
    ) -> Result<Self, Error> {
        // An empty variable counts as unset, for environments where it cannot be removed.
        if let Some(path) = variable.filter(|path| !path.is_empty()) {
            return Self::read(Path::new(&path), Some(VARIABLE));
        }
        let current = current.map_err(|error| {
            Error::config(format!(
                "cannot find {FILE}: the current folder, where the search for it starts, is unknown; set {VARIABLE} to the path of the file"
            ))
            .sourced(error)
        })?;
        for folder in current.ancestors() {
            let path = folder.join(FILE);
            match std::fs::read_to_string(&path) {
                Ok(text) => return Ok(Self { path, text }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&path, None, error)),
            }
        }
        Err(Error::config(format!(
            "there is no {FILE} in {} or in a folder above it, and {VARIABLE} is not set; write one, or set {VARIABLE} to its path",
            current.display()
        )))
    }

    /// `named_by` is the environment variable that names the path, if the caller does not.
    pub(super) fn read(path: &Path, named_by: Option<&str>) -> Result<Self, Error> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self {
                path: path.to_owned(),
                text,
            }),
            Err(error) => Err(unreadable(path, named_by, error)),
        }
    }
}

fn unreadable(path: &Path, named_by: Option<&str>, error: io::Error) -> Error {
    let named_by = named_by.map_or_else(String::new, |name| format!(" (named by {name})"));
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this user is not allowed to read it; check its permissions".to_owned()
        }
        io::ErrorKind::InvalidData => "it is not UTF-8; save it as UTF-8".to_owned(),
        _ => format!("check that it is a file, and {SEE_SOURCE}"),
    };
    Error::config(format!("cannot read {}{named_by}: {why}", path.display())).sourced(error)
}
