//! What the server answered last on a session, and what it said as it ended the session.

use std::sync::OnceLock;
use std::time::Instant;

use super::stamp::Stamp;
use crate::error::Failure;

pub(super) struct LastAnswer {
    at: Stamp,
    /// The server's words at the end, where they were the answer to a statement: the driver then says only that the connection
    /// was closed.
    last_words: OnceLock<String>,
}

impl LastAnswer {
    pub(super) fn now() -> Self {
        Self {
            at: Stamp::now(),
            last_words: OnceLock::new(),
        }
    }

    pub(super) fn note<T>(&self, answer: &Result<T, Failure>) {
        match answer {
            Err(failure) if failure.session_ended => {
                if let Some(said) = failure.server_message() {
                    // The first words are the reason; nobody gets others after them.
                    let _ = self.last_words.set(said.to_owned());
                }
            }
            Ok(_) | Err(_) => self.at.renew(),
        }
    }

    pub(super) fn at(&self) -> Instant {
        self.at.at()
    }

    pub(super) fn last_words(&self) -> Option<&str> {
        self.last_words.get().map(String::as_str)
    }
}
