//! Named configurations of queries for locks, kept in a file: feature `toml`.

mod file;
mod keys;
mod parse;

use std::collections::BTreeMap;
use std::path::Path;

use super::Locks;
use crate::error::Error;
use crate::model::table::TableName;
use crate::view::FromRow;
use file::File;
use keys::Config;
use parse::{Mistake, parse};

impl<R: FromRow, A> Locks<R, A> {
    /// Takes the query from the configuration of this name in `pglock.toml`; needs the feature `toml`.
    ///
    /// ```toml
    /// [configs.kill-long-blocking]
    /// filters = ["wait_duration__gt=1 minute", "activity__state=ACTIVE"]
    /// exclude = ["blocking_activity__application_name=backup"]
    /// on = ["orders", "billing.invoices"]
    /// limit = 10
    /// ```
    ///
    /// A configuration stands for the calls in this table, in this order. Keys that are absent change nothing; unknown
    /// keys are errors.
    ///
    /// | key | value | same as |
    /// | --- | --- | --- |
    /// | `filters` | texts | [`filter`](Locks::filter) with each |
    /// | `exclude` | texts | [`exclude`](Locks::exclude) with each |
    /// | `on` | tables, such as `"orders"` or `"billing.invoices"` | [`on`](Locks::on) |
    /// | `pids` | integers | [`pid`](Locks::pid) |
    /// | `granted` | `true` or `false` | [`granted`](Locks::granted) |
    /// | `limit` | an integer | [`limit`](Locks::limit) |
    /// | `database` | a URL, or keywords such as `host=db dbname=app` | returned by [`database`](Locks::database), for the code that connects |
    ///
    /// Later calls of `on`, `pid`, `granted` and `limit` replace what the configuration says. Later filters narrow the
    /// query further; [`clear_filters`](Locks::clear_filters) removes the configuration's.
    ///
    /// The file is the one that the environment variable `PGLOCK_CONFIG` names, if it is set and not empty; otherwise
    /// the first `pglock.toml` in the current folder and its ancestors. Jobs that are started by cron or systemd have
    /// another current folder than a shell, often `/`: set `PGLOCK_CONFIG` to an absolute path there, or use
    /// [`config_from`](Locks::config_from). Do the same for programs that run in a folder below one where others can
    /// write, such as `/tmp`: anybody who can place a `pglock.toml` there chooses which locks are found, and which
    /// sessions the actions terminate. The file is read at each call, on the calling thread.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when there is no file, or it cannot be read or parsed, with the
    /// line; for an unknown name, with the known ones; for an unknown key, with the known ones; and for values that the
    /// key's method would refuse.
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
        let file = File::find(std::env::var_os(file::VARIABLE), std::env::current_dir())?;
        self.configured(&file, name.as_ref())
    }

    /// Like [`config`](Locks::config), from the file at this path; needs the feature `toml`.
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

    /// The `database` of the latest [`config`](Locks::config) that has one; needs the feature `toml`.
    ///
    /// It is for the code that opens the connection. pglock does not connect to it: [`fetch`](Locks::fetch) and the
    /// actions query the database of the connection that they are given.
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

    /// Removes every [`filter`](Locks::filter) and [`exclude`](Locks::exclude) so far, those of a
    /// [`config`](Locks::config) too; needs the feature `toml`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("pglock-doc-clear-{}.toml", std::process::id()));
    /// # std::fs::write(&path, "[configs.waiting]\non = [\"orders\"]\nfilters = [\"wait_duration__gt=1 minute\"]")?;
    /// // On the tables of the configuration, but with another filter.
    /// let locks = pglock::locks().config_from(&path, "waiting")?.clear_filters().filter("granted=True")?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn clear_filters(mut self) -> Self {
        self.query.conditions.clear();
        self
    }

    fn configured(self, file: &File, name: &str) -> Result<Self, Error> {
        let path = file.path.display();
        let mut configs = parse(&file.text).map_err(|mistake| {
            let Mistake { line, text } = mistake;
            Error::config(format!("{path}, line {line}: {text}"))
        })?;
        let Some(config) = configs.remove(name) else {
            return Err(unknown(name, &file.path, &configs));
        };
        self.apply(config)
            .map_err(|error| error.within(&format!("configuration {name:?} of {path}")))
    }

    fn apply(mut self, config: Config) -> Result<Self, Error> {
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
