//! `pglock.toml`, as the command reads it. The library reads the tables `[configs.NAME]` of the same file.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::args::{Global, LsArgs};
use crate::failure::Failure;

const FILE: &str = "pglock.toml";

/// The keys of the whole file, and what each is.
const KEYS: [(&str, &str); 9] = [
    ("database", "a text: a name of [databases], or a url"),
    ("limit", "a number"),
    ("attributes", "a list of texts"),
    ("blocking_attributes", "a list of texts"),
    ("refresh", "a text such as \"2s\""),
    ("never_application", "a list of texts"),
    ("databases", "a table"),
    ("names", "a table"),
    ("configs", "a table"),
];

/// The keys of `[names]`.
const NAMES: [&str; 3] = ["locks", "catalogs", "try"];

/// What the file says; empty without one.
#[derive(Debug, Default)]
pub(crate) struct Config {
    path: PathBuf,
    table: Table,
    /// Whether the caller has named it, or nobody else can write it.
    is_trusted: bool,
}

impl Config {
    /// The file that the caller names, or the nearest one in this folder and those above it.
    pub(crate) fn find(global: &Global) -> Result<Self, Failure> {
        if let Some(path) = &global.config_file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::new(format!("cannot read {}: {error}", path.display()))
            })?;
            return Self::parse(path, &text, true);
        }
        let Ok(current) = std::env::current_dir() else {
            return Ok(Self::default());
        };
        for folder in current.ancestors() {
            let path = folder.join(FILE);
            match read(&path) {
                Ok((text, is_callers_own)) => return Self::parse(&path, &text, is_callers_own),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Failure::new(format!(
                        "cannot read {}: {error}",
                        path.display()
                    )));
                }
            }
        }
        Ok(Self::default())
    }

    fn parse(path: &Path, text: &str, is_trusted: bool) -> Result<Self, Failure> {
        // The parser's message shows the line, which may have a password.
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error
                .span()
                .map_or(1, |span| text[..span.start].lines().count().max(1));
            Failure::new(format!(
                "{}, line {line}: {}",
                path.display(),
                error.message()
            ))
        })?;
        if let Some(key) = table
            .keys()
            .find(|key| KEYS.iter().all(|(known, _)| known != key))
        {
            let known: Vec<_> = KEYS.iter().map(|(known, _)| *known).collect();
            return Err(Failure::new(format!(
                "{}: there is no key `{key}`; write one of {}",
                path.display(),
                known.join(", ")
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            table,
            is_trusted,
        })
    }

    fn wrong(&self, key: &str) -> Failure {
        let what = KEYS.iter().find(|(known, _)| *known == key);
        let what = what.map_or("something else", |(_, what)| what);
        Failure::new(format!("{}: `{key}` has to be {what}", self.path.display()))
    }

    /// Nothing where the key is not set.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&str>, Failure> {
        let value = self.table.get(key);
        value
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key)))
            .transpose()
    }

    /// Nothing where the key is not set.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<String>>, Failure> {
        let value = self.table.get(key);
        value
            .map(|value| texts(value).ok_or_else(|| self.wrong(key)))
            .transpose()
    }

    pub(crate) fn limit(&self) -> Result<Option<usize>, Failure> {
        let value = self.table.get("limit");
        let number = |value: &Value| {
            value
                .as_integer()
                .and_then(|number| usize::try_from(number).ok())
        };
        value
            .map(|value| number(value).ok_or_else(|| self.wrong("limit")))
            .transpose()
    }

    /// Whether sessions may be hit. To be asked before anything is asked of a server.
    pub(crate) fn may_act(&self, global: &Global, verb: &str) -> Result<(), Failure> {
        global.may_act(verb)?;
        for (name, entry) in self
            .table
            .get("databases")
            .and_then(Value::as_table)
            .into_iter()
            .flatten()
        {
            let is_read_only = match entry.get("read_only") {
                None => false,
                Some(Value::Boolean(is)) => *is,
                Some(_) => {
                    return Err(Failure::new(format!(
                        "{}: `read_only` of the database `{name}` has to be true or false",
                        self.path.display()
                    )));
                }
            };
            let is_meant = if let Some(named) = self.named(global)? {
                named == name
            } else {
                // Nobody has named it here: it may be there for programs.
                let default = std::env::var("DATABASE_URL").ok();
                default.is_some() && default.as_deref() == self.url_of(name)?
            };
            if is_read_only && is_meant {
                return Err(Failure::new(format!(
                    "`{verb}` is refused: the database `{name}` is `read_only` in {}; name it by its url with -d, or change that",
                    self.path.display()
                )));
            }
        }
        Ok(())
    }

    /// What the command line or this file calls the database: a url, or a name in `[databases]`.
    pub(crate) fn named<'c>(&'c self, global: &'c Global) -> Result<Option<&'c str>, Failure> {
        match &global.database {
            Some(named) => Ok(Some(named)),
            None => self.database(),
        }
    }

    /// The database that the command is to use where the command line names none.
    fn database(&self) -> Result<Option<&str>, Failure> {
        self.text("database")
    }

    /// The url of a name in `[databases]`.
    pub(crate) fn url_of(&self, name: &str) -> Result<Option<&str>, Failure> {
        let Some(databases) = self.table.get("databases") else {
            return Ok(None);
        };
        let databases = databases
            .as_table()
            .ok_or_else(|| self.wrong("databases"))?;
        let Some(entry) = databases.get(name) else {
            return Ok(None);
        };
        let url = entry.as_str().or_else(|| entry.get("url")?.as_str());
        let wrong = || {
            Failure::new(format!(
                "{}: the database `{name}` has to be a url, or a table with the key `url`",
                self.path.display()
            ))
        };
        url.map(Some).ok_or_else(wrong)
    }

    pub(crate) fn databases(&self) -> Vec<&str> {
        let databases = self.table.get("databases").and_then(Value::as_table);
        databases
            .map(|table| table.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// The texts of one of [`NAMES`] in `[names]`.
    pub(crate) fn names(&self, key: &str) -> Result<Vec<String>, Failure> {
        let Some(names) = self.table.get("names") else {
            return Ok(Vec::new());
        };
        let names = names.as_table().ok_or_else(|| self.wrong("names"))?;
        let path = self.path.display();
        if let Some(other) = names.keys().find(|name| !NAMES.contains(&name.as_str())) {
            let known = NAMES.join(", ");
            return Err(Failure::new(format!(
                "{path}: there is no key `{other}` in [names]; write one of {known}"
            )));
        }
        let wrong = || {
            Failure::new(format!(
                "{path}: `{key}` in [names] has to be a list of texts"
            ))
        };
        match names.get(key) {
            None => Ok(Vec::new()),
            Some(value) => texts(value).ok_or_else(wrong),
        }
    }

    /// A path in the file is one from its folder.
    pub(crate) fn path_of(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Adds what the configuration says to the command line, which goes before it.
    pub(crate) fn apply(&self, name: &str, args: &mut LsArgs) -> Result<(), Failure> {
        let configs = self.table.get("configs").and_then(Value::as_table);
        let Some(config) = configs.and_then(|configs| configs.get(name)?.as_table()) else {
            let known: Vec<_> = configs
                .into_iter()
                .flat_map(Table::keys)
                .map(String::as_str)
                .collect();
            let known = if known.is_empty() {
                "there are none".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            return Err(Failure::new(format!(
                "there is no configuration `{name}` in pglock.toml; {known}"
            )));
        };
        for (key, value) in config {
            let wrong = || {
                Failure::new(format!(
                    "{}: `{key}` of the configuration `{name}` is not known, or has another type",
                    self.path.display()
                ))
            };
            let list = || texts(value).ok_or_else(wrong);
            let flag = || value.as_bool().ok_or_else(wrong);
            match key.as_str() {
                "filters" if args.select.filter.is_empty() => {
                    args.select.filter = list()?;
                }
                "exclude" if args.select.exclude.is_empty() => args.select.exclude = list()?,
                "on" if args.select.on.is_empty() => args.select.on = list()?,
                "attributes" if args.attribute.is_empty() => args.attribute = list()?,
                "filters" | "exclude" | "on" | "attributes" => drop(list()?),
                "blocking" => args.blocking |= flag()? && !args.no_blocking,
                "expanded" => args.expanded |= flag()?,
                "cancel" => args.cancel |= flag()? && !args.terminate,
                "terminate" => args.terminate |= flag()? && !args.cancel,
                // Who may write the file could else have whole sessions ended by a command that asks nobody.
                "yes" => args.yes |= flag()? && self.is_trusted,
                "limit" => {
                    let limit = value
                        .as_integer()
                        .and_then(|limit| usize::try_from(limit).ok());
                    args.limit = args.limit.or(Some(limit.ok_or_else(wrong)?));
                }
                "granted" => {
                    let granted = flag()?;
                    args.select.held |= granted && !args.select.waiting;
                    args.select.waiting |= !granted && !args.select.held;
                }
                "pids" if args.select.pid.is_empty() => {
                    let pids = value.as_array().ok_or_else(wrong)?.iter();
                    let pid =
                        |pid: &Value| pid.as_integer().and_then(|pid| i32::try_from(pid).ok());
                    args.select.pid = pids.map(pid).collect::<Option<_>>().ok_or_else(wrong)?;
                }
                // Of the connection, which is known by now.
                "pids" | "database" => {}
                _ => return Err(wrong()),
            }
        }
        Ok(())
    }
}

/// The text of a file, and whether it is the caller's, and nobody else's to write.
fn read(path: &Path) -> io::Result<(String, bool)> {
    // Opened once: asked by its path a second time, it could be another one.
    let mut file = File::open(path)?;
    let what = file.metadata()?;
    let is_callers_own =
        what.uid() == rustix::process::geteuid().as_raw() && what.mode() & 0o022 == 0;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((text, is_callers_own))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}
