//! The default database, and databases that are registered by name.

use std::collections::BTreeSet;

use once_cell::race::OnceBox;

use super::handle::Database;
use super::source::DatabaseConfig;
use crate::background::GrowingList;
use crate::error::Error;

// Without a lock: a fork would copy it as it is just then, and could never take it again.
static DEFAULT: OnceBox<DefaultDatabase> = OnceBox::new();
static REGISTERED: GrowingList<Registered> = GrowingList::new();

struct Registered {
    name: String,
    database: Database,
}

struct DefaultDatabase {
    database: Database,
    origin: &'static str,
}

impl Database {
    /// Registers the database under a name for `using = "name"`, and returns a clone of the handle.
    ///
    /// Registering it again under that name is allowed, also with another user or password, which new sessions then log in
    /// with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when another database has that name, or the name is `default`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = pglock_tests::database();
    /// pglock::Database::builder(database.url()).build()?.register("reports")?;
    /// pglock::advisory("nightly").using("reports").acquire()?.release()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register(&self, name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        if name == "default" {
            return Err(Error::config(
                "the name `default` is reserved; set the default database with `pglock::configure`",
            ));
        }
        let registered = REGISTERED.find_or_add(
            |it| it.name == name,
            || Registered {
                name: name.clone(),
                database: self.clone(),
            },
        );
        if !registered.database.renew_credentials(self) {
            return Err(Error::config(format!(
                "the name {name:?} is already registered for another database; choose another name"
            )));
        }
        Ok(self.clone())
    }
}

/// Sets the default database, for locks that name no other.
///
/// Without it the default is the one that the environment names, read at the first lock: that of `DATABASE_URL`, or else of
/// `PGHOST` and libpq's other variables, as [`DatabaseConfig::from_env`] reads them. Setting the same database again is
/// allowed, also with another user or password, which new sessions then log in with. Open ones go on. For passwords that change
/// all the time, see [`password_with`](crate::DatabaseBuilder::password_with).
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) when the URL cannot be parsed, or when another default is set or in use.
///
/// ```
/// # fn main() -> Result<(), pglock::Error> {
/// let database = pglock::Database::builder("postgres://app@db.example/app").application_name("billing").build()?;
/// pglock::configure(&database)?;
/// pglock::configure(&database)?; // the same again
/// assert!(pglock::configure("postgres://app@db.example/other").unwrap_err().is_config());
/// # Ok(())
/// # }
/// ```
pub fn configure(config: impl Into<DatabaseConfig>) -> Result<(), Error> {
    let database = Database::builder(config).build_for("`pglock::configure`")?;
    let set = DEFAULT.get_or_init(|| {
        Box::new(DefaultDatabase {
            database: database.clone(),
            origin: "an earlier `pglock::configure`",
        })
    });
    if set.database.renew_credentials(&database) {
        return Ok(());
    }
    Err(Error::config(format!(
        "the default database is already set by {}; call `pglock::configure` once, before the first lock, and use `Database` handles for others",
        set.origin
    )))
}

fn default_database() -> Result<Database, Error> {
    let default = DEFAULT.get_or_try_init(|| {
        let database = Database::builder(DatabaseConfig::from_env()).build()?;
        Ok::<_, Error>(Box::new(DefaultDatabase {
            database,
            origin: "the first use of what the environment names",
        }))
    })?;
    Ok(default.database.clone())
}

/// The database of a lock: a name given to [`Database::register`], or a handle.
///
/// ```
/// use pglock::{Database, Using};
///
/// # fn main() -> Result<(), pglock::Error> {
/// let database = Database::builder("postgres://app@db.example/app").build()?;
/// let by_handle = Using::from(&database);
/// let by_name = Using::from("default");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Using(Target);

#[derive(Clone, Debug)]
enum Target {
    Default,
    Named(String),
    Handle(Database),
}

impl Using {
    pub(crate) const DEFAULT: Self = Self(Target::Default);

    /// The database itself, such as the default one, for [`ping`](Database::ping), for example.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) when no database has that name, or there is no default database.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// # let test = pglock_tests::database();
    /// # pglock::configure(test.url())?;
    /// pglock::Using::from("default").database()?.ping()?; // also where only DATABASE_URL is set
    /// # Ok(())
    /// # }
    /// ```
    pub fn database(&self) -> Result<Database, Error> {
        match &self.0 {
            Target::Default => default_database(),
            Target::Handle(database) => Ok(database.clone()),
            Target::Named(name) => {
                let registered = REGISTERED.iter().find(|it| it.name == *name);
                registered.map(|it| it.database.clone()).ok_or_else(|| {
                    let names: BTreeSet<&str> = REGISTERED.iter().map(|it| &*it.name).collect();
                    let known: Vec<&str> = std::iter::once("default").chain(names).collect();
                    Error::config(format!(
                        "no database is registered as {name:?} (registered are {}); register it with `Database::builder(url).build()?.register({name:?})?`",
                        known.join(", ")
                    ))
                })
            }
        }
    }
}

impl From<&str> for Using {
    fn from(name: &str) -> Self {
        if name == "default" {
            Self::DEFAULT
        } else {
            Self(Target::Named(name.to_owned()))
        }
    }
}

impl From<String> for Using {
    fn from(name: String) -> Self {
        Self::from(name.as_str())
    }
}

impl From<&Database> for Using {
    fn from(database: &Database) -> Self {
        Self(Target::Handle(database.clone()))
    }
}

impl From<Database> for Using {
    fn from(database: Database) -> Self {
        Self(Target::Handle(database))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_an_unknown_name_lists_the_known() {
        Database::builder("postgres://app@localhost/app")
            .build()
            .unwrap()
            .register("reports")
            .unwrap();
        let error = Using::from("report").database().unwrap_err();
        assert!(error.to_string().contains("default, reports"), "{error}");
    }
}
