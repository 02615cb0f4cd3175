//! Sessions of the graph in words, safe for a line of a terminal. Pure.

use super::model::WaitSession;
use crate::view::text;

/// The session's name where it is mentioned again.
pub(super) fn short(session: &WaitSession) -> String {
    match &session.prepared {
        None => session.activity.pid.to_string(),
        Some(prepared) => match &prepared.gid {
            None => "a prepared transaction".to_owned(),
            // A gid is up to 200 bytes long, and ending the transaction needs all of it.
            Some(gid) => format!("prepared transaction \"{}\"", text::one_line(gid, 200)),
        },
    }
}

/// The session with its user and application.
pub(super) fn session(session: &WaitSession) -> String {
    let Some(prepared) = &session.prepared else {
        return text::session(&session.activity);
    };
    text::with_details(
        short(session),
        [
            text::known("user ", prepared.owner.as_deref()),
            text::known("database ", prepared.database.as_deref()),
        ],
    )
}
