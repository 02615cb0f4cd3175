//! A database without a server, for unit tests.

use super::handle::Database;
use super::source::{ConfigSource, DatabaseConfig};

impl Database {
    /// A database without a server: its locks exclude in this process only. For unit tests of code that calls annotated
    /// functions deep inside, where there is no Postgres. Needs the feature `testing`.
    ///
    /// The same code decides who gets a lock as with a server, so callers of this process meet with the same answers: they
    /// wait in their order, find a lock busy and are told who has it, skip, time out, enter again, and are told of a deadlock
    /// of nested calls. That holds for shared, dedicated and [`xact`](crate::Advisory::xact) locks,
    /// [`advisory_all`](crate::advisory_all), [`limit`](fn@crate::limit), [`leader`](fn@crate::leader) and guards.
    ///
    /// All of its handles are the same database, so it can be [configured](crate::configure) in each test, whatever else a
    /// builder is told, with the settings of the first. One with another
    /// [`application_name`](crate::DatabaseBuilder::application_name) makes another database, for `using =`. Tests that
    /// run side by side keep their locks apart by [`isolated`](crate::testing::isolated).
    ///
    /// What is Postgres' is not there:
    ///
    /// - [`once_in`](crate::Advisory::once_in), [`fenced`](crate::Advisory::fenced), [`prioritize`](fn@crate::prioritize) and
    ///   [`connect_async`](Database::connect_async) are a [`Config`](crate::ErrorKind::Config) error.
    /// - What takes a connection of yours (`client =`, [`on`](crate::Advisory::on), [`tables`](crate::tables),
    ///   [`locks`](crate::locks)) works on that one, in its database.
    /// - No lock is ever lost, and no connection fails: [`testing::lost`](crate::testing::lost) makes such errors.
    /// - Other processes are not excluded, and a fork has locks of its own.
    ///
    /// That a program excludes others on other hosts is proved by a test with Postgres only.
    ///
    /// ```
    /// # fn main() -> Result<(), pglock::Error> {
    /// use pglock::Database;
    ///
    /// #[pglock::advisory("report", timeout = 0, side_effect = Skip)]
    /// fn report() -> Result<Option<u32>, pglock::Error> {
    ///     Ok(Some(42))
    /// }
    ///
    /// pglock::configure(Database::in_process())?; // in each test: it is the same one
    /// assert_eq!(report()?, Some(42));
    ///
    /// let guard = pglock::advisory("report").acquire()?;
    /// assert_eq!(report()?, None); // skipped
    /// guard.release()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[expect(
        clippy::missing_panics_doc,
        reason = "what is wrong can only be what was given"
    )]
    pub fn in_process() -> Self {
        Self::builder(DatabaseConfig(ConfigSource::InProcess))
            .build()
            .expect("nothing was given that could be wrong")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_handles_are_one_database_unless_they_are_given_another_name() {
        assert_eq!(Database::in_process(), Database::in_process());
        let named = |name| {
            let builder = Database::builder(Database::in_process()).application_name(name);
            builder.build().unwrap()
        };
        assert_eq!(named("reports"), named("reports"));
        assert_ne!(named("reports"), Database::in_process());
        let few_sessions = Database::builder(Database::in_process()).max_sessions(2);
        assert_eq!(few_sessions.build().unwrap(), Database::in_process());
        assert!(named("reports").is_in_process());
    }

    #[test]
    fn no_other_handle_is_one() {
        assert!(
            Database::builder(tokio_postgres::Config::new())
                .build()
                .unwrap_err()
                .is_config()
        );
        let by_url = Database::builder("postgres://app@localhost/app")
            .build()
            .unwrap();
        assert!(!by_url.is_in_process());
    }
}
