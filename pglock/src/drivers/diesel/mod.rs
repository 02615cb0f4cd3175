//! Diesel's connections.
//!
//! Diesel hides the SQLSTATE of an error, and the rows of a text with several statements; `sql.rs` works around both, and
//! `conversation.rs` speaks so with any of its connections.

#[cfg(feature = "diesel")]
mod blocking;
mod conversation;
#[cfg(feature = "diesel-async")]
mod nonblocking;
mod rows;
mod sql;

/// `QueryBuilderError` is the variant that keeps the error as it is: its text is that of pglock's, and
/// `downcast_ref::<pglock::Error>()` gives it back.
impl From<crate::error::Error> for diesel::result::Error {
    fn from(error: crate::error::Error) -> Self {
        Self::QueryBuilderError(Box::new(error))
    }
}
