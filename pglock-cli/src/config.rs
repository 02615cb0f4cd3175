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

/// The keys of a database in `[databases]`.
const OF_DATABASE: [&str; 2] = ["url", "read_only"];

/// What the file says; empty without one.
#[derive(Debug, Default)]
pub(crate) struct Config {
    path: PathBuf,
    table: Table,
    trust: Trust,
}

/// Whether the file may say `yes` for the caller: who else may write it could have whole sessions ended by a command that asks
/// nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    /// The caller has named it, or nobody but the caller and root can write it.
    #[default]
    Trusted,
    /// It belongs to somebody else.
    ForeignOwner,
    /// Others may write it.
    Writable,
}

impl Config {
    /// The file that the caller names, or the nearest one in this folder and those above it.
    pub(crate) fn find(global: &Global) -> Result<Self, Failure> {
        if let Some(path) = &global.config_file {
            let text = std::fs::read_to_string(path).map_err(|error| {
                Failure::new(format!("cannot read {}: {error}", path.display()))
            })?;
            return Self::parse(path, &text, Trust::Trusted);
        }
        let Ok(current) = std::env::current_dir() else {
            return Ok(Self::default());
        };
        for folder in current.ancestors() {
            let path = folder.join(FILE);
            match read(&path) {
                Ok((text, trust)) => return Self::parse(&path, &text, trust),
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

    fn parse(path: &Path, text: &str, trust: Trust) -> Result<Self, Failure> {
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
        let config = Self {
            path: path.to_owned(),
            table,
            trust,
        };
        config.check_databases()?;
        Ok(config)
    }

    fn check_databases(&self) -> Result<(), Failure> {
        let Some(databases) = self.table.get("databases") else {
            return Ok(());
        };
        let databases = databases
            .as_table()
            .ok_or_else(|| self.wrong("databases"))?;
        let path = self.path.display();
        for (name, entry) in databases {
            let keys = entry.as_table();
            let unknown = keys.and_then(|keys| {
                let mut keys = keys.keys();
                keys.find(|key| !OF_DATABASE.contains(&key.as_str()))
            });
            if let Some(key) = unknown {
                let known = OF_DATABASE.join(", ");
                return Err(Failure::new(format!(
                    "{path}: there is no key `{key}` for the database `{name}`; write one of {known}"
                )));
            }
            let url = entry.as_str().or_else(|| entry.get("url")?.as_str());
            if url.is_none() {
                return Err(Failure::new(format!(
                    "{path}: the database `{name}` has to be a url, or a table with the key `url`"
                )));
            }
            let read_only = keys.and_then(|keys| keys.get("read_only"));
            if read_only.is_some_and(|value| !value.is_bool()) {
                return Err(Failure::new(format!(
                    "{path}: `read_only` of the database `{name}` has to be true or false"
                )));
            }
        }
        Ok(())
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
        let databases = self.table.get("databases").and_then(Value::as_table);
        for (name, entry) in databases.into_iter().flatten() {
            let is_read_only = entry.get("read_only").and_then(Value::as_bool) == Some(true);
            let is_meant = if let Some(named) = self.named(global)? {
                named == name
            } else {
                // Nobody has named it here: it may be there for programs.
                let default = std::env::var("DATABASE_URL").ok();
                default.is_some() && default.as_deref() == self.url_of(name)
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

    /// With the database of that configuration, if it has one, in the place of the whole file's.
    pub(crate) fn with_database_of(mut self, name: Option<&str>) -> Self {
        let configs = self.table.get("configs");
        let database = configs.and_then(|configs| configs.get(name?)?.get("database"));
        if let Some(database) = database.cloned() {
            self.table.insert("database".to_owned(), database);
        }
        self
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
    pub(crate) fn url_of(&self, name: &str) -> Option<&str> {
        let entry = self.table.get("databases")?.get(name)?;
        entry.as_str().or_else(|| entry.get("url")?.as_str())
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

    /// Adds what the configuration says to the command line, which goes before it. Returns what is to be said about that.
    pub(crate) fn apply(&self, name: &str, args: &mut LsArgs) -> Result<Option<String>, Failure> {
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
        let mut says_yes = false;
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
                "expanded" => args.expanded |= flag()? && !args.no_expanded,
                "cancel" => args.cancel |= flag()? && !args.no_cancel && !args.terminate,
                "terminate" => args.terminate |= flag()? && !args.no_terminate && !args.cancel,
                "yes" => says_yes = flag()?,
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
                "pids" => {}
                // Known by now.
                "database" => drop(value.as_str().ok_or_else(wrong)?),
                _ => return Err(wrong()),
            }
        }
        if says_yes && self.trust == Trust::Trusted {
            args.yes = true;
        } else if says_yes && !args.yes && (args.cancel || args.terminate) {
            return Ok(self.why_yes_does_not_count(name));
        }
        Ok(None)
    }

    fn why_yes_does_not_count(&self, name: &str) -> Option<String> {
        let (since, change) = match self.trust {
            Trust::Trusted => return None,
            Trust::ForeignOwner => ("it belongs to somebody else", "chown"),
            Trust::Writable => ("others can write it", "chmod go-w"),
        };
        Some(format!(
            "`yes` of the configuration `{name}` in {} does not count, since {since}; name the file with --config-file, or `{change}` it",
            self.path.display()
        ))
    }
}

/// The text of a file, and whether it may say `yes`.
fn read(path: &Path) -> io::Result<(String, Trust)> {
    // Opened once: asked by its path a second time, it could be another one.
    let mut file = File::open(path)?;
    let what = file.metadata()?;
    // Root can do what it wants anyway.
    let is_ours = [0, rustix::process::geteuid().as_raw()].contains(&what.uid());
    let trust = if !is_ours {
        Trust::ForeignOwner
    } else if what.mode() & 0o022 != 0 {
        Trust::Writable
    } else {
        Trust::Trusted
    };
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((text, trust))
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let texts = value.as_array()?.iter();
    texts.map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    #[test]
    fn help_has_every_key() {
        let help = args::command().render_long_help().to_string();
        let (_, about) = help.split_once("pglock.toml, in this folder").unwrap();
        let keys = KEYS.iter().map(|(key, _)| *key);
        for key in keys.chain(NAMES).chain(OF_DATABASE) {
            assert!(about.contains(key), "{key}: {about}");
        }
        // What is written there is a file.
        let lines = about.lines().skip(1).map(|line| {
            let is_pair = line.contains(" = ") || line.trim_start().starts_with('[');
            if is_pair { line.trim() } else { "" }
        });
        let comment = |line: &str| match line.split_once("   ") {
            Some((pair, comment)) => format!("{pair} # {comment}\n"),
            None => format!("{line}\n"),
        };
        let file: String = lines.map(comment).collect();
        let config = Config::parse(Path::new(FILE), &file, Trust::Trusted).unwrap();
        config
            .apply("long", &mut LsArgs::default())
            .unwrap_or_else(|failure| panic!("{failure}: {file}"));
        assert_eq!(config.names("try").unwrap().len(), 1);
    }
}
