//! For functions that return `std::io::Result`.

use std::io;

use super::{Error, ErrorKind};

/// Keeps the error: [`io::Error::get_ref`] and [`io::Error::downcast`] give it back.
///
/// ```
/// fn is_busy(error: &std::io::Error) -> bool {
///     pglock::Error::find(error).is_some_and(pglock::Error::is_busy)
/// }
/// ```
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Busy => io::ErrorKind::ResourceBusy,
            ErrorKind::Deadlock => io::ErrorKind::Deadlock,
            ErrorKind::Connect => io::ErrorKind::NotConnected,
            ErrorKind::Config => io::ErrorKind::InvalidInput,
            ErrorKind::Environment => io::ErrorKind::Unsupported,
            ErrorKind::Lost | ErrorKind::Database | ErrorKind::SideEffect => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
