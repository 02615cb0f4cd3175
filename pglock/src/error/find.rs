//! Finding an error of pglock's in one that wraps it.

use std::error::Error as StdError;
use std::io;

use super::Error;

impl Error {
    /// The error of pglock's in an error that wraps it: in a `Box<dyn Error>`, an `anyhow::Error`, an error of your own that
    /// names it as its [source](StdError::source), or in one of `std::io`, sqlx or diesel. The outermost, if there are
    /// several.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let database = pglock_tests::database();
    /// # pglock::configure(database.url())?;
    /// # let guard = pglock::advisory("invoices").acquire()?;
    /// type Error = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// #[pglock::advisory("invoices", timeout = 0)]
    /// fn bill() -> Result<(), Error> {
    ///     Ok(())
    /// }
    ///
    /// match bill() {
    ///     Err(error) if pglock::Error::find(&*error).is_some_and(pglock::Error::is_busy) => println!("try later: {error}"),
    ///     other => return other,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn find<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e Self> {
        chain(error).find_map(|error| error.downcast_ref())
    }
}

/// An error and what has caused it, the outermost first.
pub(super) fn chain<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        carried(error).or_else(|| error.source())
    })
}

/// What an error carries that leaves it out of its sources.
fn carried<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return error.get_ref().map(|carried| carried as _);
    }
    #[cfg(any(feature = "diesel", feature = "diesel-async"))]
    if let Some(diesel::result::Error::QueryBuilderError(carried)) = error.downcast_ref() {
        return Some(&**carried);
    }
    #[cfg(feature = "sea-orm")]
    if let Some(sea_orm::RuntimeErr::SqlxError(carried)) = error.downcast_ref() {
        return Some(&**carried);
    }
    #[cfg(feature = "sqlx")]
    if let Some(sqlx::Error::Database(carried)) = error.downcast_ref() {
        return Some(carried.as_error());
    }
    // As the source of what wraps an error of sqlx's and passes on its source.
    #[cfg(feature = "sqlx")]
    if let Some(carried) = error.downcast_ref::<Box<dyn sqlx::error::DatabaseError>>() {
        return Some(carried.as_error());
    }
    None
}
