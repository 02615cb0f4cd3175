//! The catalog as a document, and how a program writes it.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use super::{Catalog, CatalogEntry, catalog};
use crate::error::serialize::seconds;
use crate::model::lock_id::LockId;

/// The variable that asks for it.
const VARIABLE: &str = "PGLOCK_CATALOG";

/// Writes the [`catalog`] and ends the program, if the environment variable `PGLOCK_CATALOG` asks for that: it has the path
/// of the file to write, or `-` for standard output. Else it does nothing.
///
/// For the first line of `main`. With `PGLOCK_CATALOG=locks.json ./app` a build writes the file that the command reads with
/// `--names locks.json`, and then shows this program's locks by name. Needs the feature `serde`.
///
/// The program ends with 0, or with 1 if the file cannot be written, which is said on standard error.
///
/// ```
/// pglock::answer_catalog(); // and then all that `main` does
/// ```
pub fn answer_catalog() {
    // Set to nothing is not set, as in a file for compose.
    let path = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    let Some(path) = path else {
        return;
    };
    match write(Path::new(&path)) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            let path = path.display();
            // Standard error may be closed, too.
            let _ = writeln!(
                io::stderr(),
                "pglock: the catalog could not be written to {path}: {error}"
            );
            std::process::exit(1);
        }
    }
}

fn write(path: &Path) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(&catalog())?;
    text.push('\n');
    if path == Path::new("-") {
        return io::stdout().write_all(text.as_bytes());
    }
    File::create(path)?.write_all(text.as_bytes())
}

/// `{"schema": "pglock/catalog/1", "program": "app", "locks": [..]}`.
impl Serialize for Catalog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(Path::file_name);
        let mut fields = serializer.serialize_struct("Catalog", 3)?;
        fields.serialize_field("schema", "pglock/catalog/1")?;
        fields.serialize_field("program", &program.map(|name| name.to_string_lossy()))?;
        fields.serialize_field("locks", &self.entries)?;
        fields.end()
    }
}

/// `timeout_seconds` for `timeout`, `once_in_seconds` for `once_in`, the key of a lock whose name has no placeholders as a text, and all else by its name.
impl Serialize for CatalogEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = self.lock.as_ref().map(LockId::key_text);
        let mut fields = serializer.serialize_struct("CatalogEntry", 15)?;
        fields.serialize_field("attribute", self.attribute)?;
        fields.serialize_field("id", &self.id)?;
        fields.serialize_field("key", &key)?;
        fields.serialize_field("function", self.function)?;
        fields.serialize_field("file", self.file)?;
        fields.serialize_field("line", &self.line)?;
        fields.serialize_field("timeout_seconds", &seconds(self.timeout))?;
        fields.serialize_field("side_effect", &self.side_effect)?;
        fields.serialize_field("shared", &self.shared)?;
        fields.serialize_field("scope", if self.xact { "transaction" } else { "session" })?;
        fields.serialize_field("permits", &self.permits)?;
        fields.serialize_field("all", &self.all)?;
        fields.serialize_field("once_in_seconds", &seconds(self.once_in))?;
        fields.serialize_field("fenced", &self.fenced)?;
        fields.serialize_field("prioritize_from", &self.prioritize_from)?;
        fields.end()
    }
}
