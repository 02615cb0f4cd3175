//! Named configurations of [`locks`](fn@super::locks) and [`blocked_locks`](super::blocked_locks), kept in a file:
//! feature `toml`. From its text to settings is pure; the files are read below.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Locks;
use crate::error::Error;
use crate::model::table::TableName;
use crate::view::FromRow;

/// The file that is looked for in the current folder and in those above it.
const FILE: &str = "pglock.toml";

/// The environment variable that names the file.
const VARIABLE: &str = "PGLOCK_CONFIG";

impl<R: FromRow> Locks<R> {
    /// Asks as the configuration of that name does, which is written in `pglock.toml`; needs the feature `toml`.
    ///
    /// ```toml
    /// [configs.kill-long-blocking]
    /// filters = ["wait_duration__gt=1 minute", "activity__state=ACTIVE"]
    /// exclude = ["blocking_activity__application_name=backup"]
    /// on = ["orders", "billing.invoices"]
    /// limit = 10
    /// ```
    ///
    /// A configuration stands for the calls that it names, made here and in this order. Keys that it doesn't have
    /// change nothing; other keys than these are errors.
    ///
    /// | key | value | as |
    /// | --- | --- | --- |
    /// | `filters` | texts | [`filter`](Locks::filter) with each |
    /// | `exclude` | texts | [`exclude`](Locks::exclude) with each |
    /// | `on` | tables, such as `"orders"` or `"billing.invoices"` | [`on`](Locks::on) |
    /// | `pids` | integers | [`pid`](Locks::pid) |
    /// | `granted` | `true` or `false` | [`granted`](Locks::granted) |
    /// | `limit` | an integer | [`limit`](Locks::limit) |
    /// | `database` | a URL, or keywords such as `host=db dbname=app` | told by [`database`](Locks::database); who passes the connection decides by it |
    ///
    /// So later calls of `on`, `pid`, `granted` and `limit` override what the configuration says, while filters given
    /// later narrow it further; [`clear_filters`](Locks::clear_filters) takes its filters back.
    ///
    /// The file is the one that the environment variable `PGLOCK_CONFIG` names, where that is set and not empty; else
    /// the first `pglock.toml` in the current folder and those above it, up to the root. Jobs that are started by
    /// cron or systemd have another current folder than a shell, often `/`: give them `PGLOCK_CONFIG` with a
    /// whole path, or use [`config_from`](Locks::config_from). The same goes for programs that run below folders where
    /// others may write, such as `/tmp`: who can place a `pglock.toml` there chooses which locks are found, and with
    /// the actions which sessions are ended. The file is read at each call, on the thread that calls.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when there is no file, or it can't be read or understood, with
    /// the line; for a name that is not in it, with those that are; for an unknown key, with those that are known, and
    /// for values that the key's method would refuse.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let mut client = database.connect();
    /// # let folder = std::env::temp_dir().join(format!("pglock-doc-config-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # std::fs::write(folder.join("pglock.toml"), "[configs.waiting]\nfilters = [\"wait_duration__gt=1 minute\"]")?;
    /// # std::env::set_current_dir(&folder)?;
    /// let waiting = pglock::blocked_locks().config("waiting")?.limit(5).fetch(&mut client)?;
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(self, name: impl AsRef<str>) -> Result<Self, Error> {
        let file = File::find(std::env::var_os(VARIABLE), std::env::current_dir())?;
        self.configured(&file, name.as_ref())
    }

    /// Like [`config`](Locks::config), from that file, wherever it is; needs the feature `toml`.
    ///
    /// # Errors
    ///
    /// As [`config`](Locks::config).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("pglock-doc-config-from-{}.toml", std::process::id()));
    /// # std::fs::write(&path, "[configs.held]\ngranted = true")?;
    /// let held = pglock::locks().config_from(&path, "held")?;
    /// let error = pglock::locks().config_from(&path, "heeld").unwrap_err();
    /// assert!(error.is_config());
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn config_from(self, path: impl AsRef<Path>, name: impl AsRef<str>) -> Result<Self, Error> {
        let file = File::read(path.as_ref(), None)?;
        self.configured(&file, name.as_ref())
    }

    /// The `database` of the latest [`config`](Locks::config) that names one; needs the feature `toml`.
    ///
    /// pglock connects nowhere by it: [`fetch`](Locks::fetch) and the actions look at the database of the connection
    /// that they are given. It is for those who open that connection.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// # let path = std::env::temp_dir().join(format!("pglock-doc-database-{}.toml", std::process::id()));
    /// # std::fs::write(&path, format!("[configs.reports]\ndatabase = {:?}", database.url()))?;
    /// let locks = pglock::locks().config_from(&path, "reports")?;
    /// let config = locks.database().expect("the file names one").clone();
    /// let mut client = postgres::Config::from(config).connect(postgres::NoTls)?;
    /// let found = locks.fetch(&mut client)?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn database(&self) -> Option<&tokio_postgres::Config> {
        self.database.as_deref()
    }

    /// Takes back every [`filter`](Locks::filter) and [`exclude`](Locks::exclude) so far, those of a
    /// [`config`](Locks::config) too; needs the feature `toml`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("pglock-doc-clear-{}.toml", std::process::id()));
    /// # std::fs::write(&path, "[configs.waiting]\non = [\"orders\"]\nfilters = [\"wait_duration__gt=1 minute\"]")?;
    /// // On the tables of the configuration, but by another filter.
    /// let locks = pglock::locks().config_from(&path, "waiting")?.clear_filters().filter("granted=True")?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_filters(mut self) -> Self {
        self.asked.conditions.clear();
        self
    }

    fn configured(self, file: &File, name: &str) -> Result<Self, Error> {
        let place = file.path.display();
        let mut configs = parse(&file.text).map_err(|mistake| {
            let Mistake { line, text } = mistake;
            Error::config(format!("{place}, line {line}: {text}"))
        })?;
        let Some(config) = configs.remove(name) else {
            return Err(unknown(name, &file.path, &configs));
        };
        self.with(config)
            .map_err(|error| error.within(&format!("configuration {name:?} of {place}")))
    }

    fn with(mut self, config: Config) -> Result<Self, Error> {
        for filter in config.filters {
            self = self.filter(filter)?;
        }
        for filter in config.exclude {
            self = self.exclude(filter)?;
        }
        if let Some(tables) = config.on {
            for table in &tables {
                TableName::from(table.as_str()).checked()?;
            }
            self = self.on(tables);
        }
        if let Some(pids) = config.pids {
            self = self.pid(pids);
        }
        if let Some(granted) = config.granted {
            self = self.granted(granted);
        }
        if let Some(limit) = config.limit {
            self = self.limit(limit);
        }
        if let Some(database) = config.database {
            self.database = Some(Box::new(database));
        }
        Ok(self)
    }
}

fn unknown(name: &str, path: &Path, configs: &BTreeMap<String, Config>) -> Error {
    let known: Vec<&str> = configs.keys().map(String::as_str).collect();
    let known = if known.is_empty() {
        "it has none yet".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    Error::config(format!(
        "there is no configuration {name:?} in {}; {known}; write another as a table `[configs.NAME]`",
        path.display()
    ))
}

/// What a table `[configs.NAME]` says.
#[derive(Debug, Default)]
struct Config {
    filters: Vec<String>,
    exclude: Vec<String>,
    on: Option<Vec<String>>,
    pids: Option<Vec<i32>>,
    granted: Option<bool>,
    limit: Option<u32>,
    database: Option<tokio_postgres::Config>,
}

/// The keys of a configuration, each as it may be written.
const KEYS: [(&str, &str); 7] = [
    ("filters", r#"filters = ["wait_duration__gt=1 minute"]"#),
    ("exclude", r#"exclude = ["activity__state=IDLE"]"#),
    ("on", r#"on = ["orders", "billing.invoices"]"#),
    ("pids", "pids = [12, 13], with 32 bits each"),
    ("granted", "granted = false, or true"),
    ("limit", "limit = 10, with 32 bits and no sign"),
    ("database", r#"database = "postgres://user@host/database""#),
];

impl Config {
    /// Takes the value of a key in; `None` where it is none for it.
    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Option<()> {
        match key {
            "filters" => self.filters = list(value, text)?,
            "exclude" => self.exclude = list(value, text)?,
            "on" => self.on = Some(list(value, text)?),
            "pids" => self.pids = Some(list(value, integer)?),
            "granted" => self.granted = Some(value.as_bool()?),
            "limit" => self.limit = Some(integer(value)?),
            "database" => self.database = Some(value.as_str()?.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

/// What is wrong with a file, and where. Never with what is written there: that may be a password.
#[derive(Debug)]
struct Mistake {
    line: usize,
    text: String,
}

/// All configurations of a file, whichever is asked for: a mistake in one is told before its day comes.
fn parse(text: &str) -> Result<BTreeMap<String, Config>, Mistake> {
    let mistake = |at: usize, problem: String| Mistake {
        line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
        text: problem,
    };
    let document = DeTable::parse(text).map_err(|error| {
        // Its `Display` would show the line itself.
        let at = error.span().map_or(text.len(), |span| span.start);
        mistake(at, format!("this is no TOML: {}", error.message()))
    })?;
    let mut found = BTreeMap::new();
    for (key, configs) in document.get_ref() {
        let at = key.span().start;
        let key = key.get_ref();
        if key != "configs" {
            let problem = format!("{key:?} is no key of this file; write a table `[configs.NAME]`");
            return Err(mistake(at, problem));
        }
        for (name, config) in table(configs).ok_or_else(|| mistake(at, no_table(key)))? {
            let at = name.span().start;
            let name = name.get_ref();
            let config = table(config).ok_or_else(|| mistake(at, no_table(name)))?;
            let config = read(name, config).map_err(|(at, problem)| mistake(at, problem))?;
            found.insert(name.to_string(), config);
        }
    }
    Ok(found)
}

fn table<'v, 'i>(value: &'v Spanned<DeValue<'i>>) -> Option<&'v DeTable<'i>> {
    value.get_ref().as_table()
}

fn no_table(key: &str) -> String {
    format!("{key:?} is no table; write `[configs.NAME]`")
}

fn read(name: &str, table: &DeTable<'_>) -> Result<Config, (usize, String)> {
    let mut config = Config::default();
    for (key, value) in table {
        let at = key.span().start;
        let key = key.get_ref();
        let Some((_, written)) = KEYS.iter().find(|(known, _)| known == key) else {
            let keys = KEYS.map(|(known, _)| known).join(", ");
            let problem =
                format!("{key:?} is no key of configuration {name:?}; the keys are {keys}");
            return Err((at, problem));
        };
        config.set(key, value.get_ref()).ok_or_else(|| {
            let problem = format!(
                "{key:?} of configuration {name:?} has a value of another kind; write it as in `{written}`"
            );
            (value.span().start, problem)
        })?;
    }
    Ok(config)
}

fn list<T>(value: &DeValue<'_>, item: impl Fn(&DeValue<'_>) -> Option<T>) -> Option<Vec<T>> {
    let items = value.as_array()?.iter();
    items.map(Spanned::get_ref).map(item).collect()
}

fn text(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn integer<T: TryFrom<i64>>(value: &DeValue<'_>) -> Option<T> {
    let integer = value.as_integer()?;
    let integer = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    integer.try_into().ok()
}

/// A file with configurations, as it is now.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    fn find(variable: Option<OsString>, current: io::Result<PathBuf>) -> Result<Self, Error> {
        // Empty is how it is taken away where it can't be unset.
        if let Some(path) = variable.filter(|path| !path.is_empty()) {
            return Self::read(Path::new(&path), Some(VARIABLE));
        }
        let current = current.map_err(|error| {
            Error::config(format!(
                "the current folder, where {FILE} is schedule_next for, can't be told; name the file in {VARIABLE}"
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
            "there is no {FILE}, neither in {} nor in a folder above it, and {VARIABLE} names no other; write one, or say where it is",
            current.display()
        )))
    }

    /// `named_by` is what named it, where that isn't the caller.
    fn read(path: &Path, named_by: Option<&str>) -> Result<Self, Error> {
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
    let named_by = named_by.map_or_else(String::new, |name| format!(", which {name} names,"));
    let why = match error.kind() {
        io::ErrorKind::NotFound => "since there is none; check the path",
        io::ErrorKind::PermissionDenied => "since this user may not; check its permissions",
        io::ErrorKind::InvalidData => "since it is no UTF-8; save it as such",
        _ => "for the reason in the source; check that it is a file",
    };
    Error::config(format!(
        "the file {}{named_by} can't be read, {why}",
        path.display()
    ))
    .sourced(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (usize, String) {
        let Mistake { line, text } = parse(text).unwrap_err();
        (line, text)
    }

    #[test]
    fn every_key_is_read() {
        let configs = parse(
            r#"
            configs.empty = {}
            [configs."odd name"]
            filters = ["granted=True", 'rel_name__regex=\d']
            exclude = ["pid=1"]
            on = ["orders", "billing.invoices"]
            pids = [12, 0x0d, -1]
            granted = false
            limit = 1_000
            database = "host=db dbname=app password=secret"
            "#,
        );
        let configs = configs.unwrap();
        let config = &configs["odd name"];
        assert_eq!(config.filters, ["granted=True", r"rel_name__regex=\d"]);
        assert_eq!(config.exclude, ["pid=1"]);
        assert_eq!(
            config.on.as_deref().unwrap(),
            ["orders", "billing.invoices"]
        );
        assert_eq!(config.pids.as_deref(), Some(&[12, 13, -1][..]));
        assert_eq!((config.granted, config.limit), (Some(false), Some(1000)));
        let database = config.database.as_ref().unwrap();
        assert_eq!(database.get_dbname(), Some("app"));
        assert!(!format!("{config:?}").contains("secret"));
        assert!(configs["empty"].pids.is_none() && configs["empty"].on.is_none());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn each_mistake_is_told_with_its_line() {
        for (text, line, said) in [
            ("\n\nconfigs = [", 3, "no TOML"),
            ("[configs.a]\nlimit = 1\nlimit = 2", 3, "no TOML"),
            ("[config.a]", 1, "[configs.NAME]"),
            ("configs = 1", 1, "no table"),
            ("[configs]\na = 1", 2, "no table"),
            ("[configs.a]\nfilter = []", 2, "filters, exclude, on, pids"),
            ("[configs.a]\n\nfilters = 'x=1'", 3, "filters = ["),
            ("[configs.a]\nfilters = [1]", 2, "filters = ["),
            ("[configs.a]\non = [['a', 'b']]", 2, "on = ["),
            ("[configs.a]\npids = [2147483648]", 2, "32 bits"),
            ("[configs.a]\npids = ['1']", 2, "32 bits"),
            ("[configs.a]\nlimit = -1", 2, "no sign"),
            ("[configs.a]\nlimit = 1.0", 2, "no sign"),
            ("[configs.a]\ngranted = 'False'", 2, "or true"),
            ("[configs.a]\ndatabase = 'app'", 2, "postgres://"),
        ] {
            let (at, problem) = refused(text);
            assert_eq!(at, line, "{text}: {problem}");
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }

    #[test]
    fn a_password_is_not_told() {
        for text in [
            "[configs.a]\ndatabase = \"postgres://app:secret@db/app",
            "[configs.a]\ndatabase = 'postgres://app:secret@db:port/app'",
            "[configs.a]\ndatabase = 'host=db password=secret oops'",
        ] {
            let (_, problem) = refused(text);
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
