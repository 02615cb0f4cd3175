//! What checks look at, and what they say.

use std::time::Duration;

use pglock::Database;
use tokio_postgres::Client;

use crate::commands::look::query::Server;
use crate::failure::Failure;
use crate::names::Names;

pub(super) struct Patient<'p> {
    pub(super) database: &'p Database,
    pub(super) client: &'p Client,
    pub(super) server: &'p Server,
    pub(super) names: &'p Names,
    /// For how long a session may be idle with a lock until it looks as if it had forgotten it.
    pub(super) idle: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Ok,
    Info,
    Warn,
    Fail,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

pub(super) type Found = Result<Vec<(Level, String)>, Failure>;
