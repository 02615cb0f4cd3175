//! Errors as pglock makes them, without a database.

use std::time::Duration;

use crate::error::{Error, Found, Holder, SKIP};
use crate::model::lock_id::IntoLockId;

/// The error of a call that found the lock busy when it tried once, to test what a program makes of it.
///
/// The holder is one of [`holder`], which the text names, or `None` where it is not known.
///
/// ```
/// use pglock::testing::{busy, holder};
///
/// fn status(error: &pglock::Error) -> u16 {
///     if error.is_busy() { 409 } else { 500 }
/// }
///
/// let error = busy("invoices", holder("worker-2"));
/// assert_eq!(status(&error), 409);
/// assert_eq!(error.holder().unwrap().application_name, "worker-2");
/// assert_eq!(error.to_string(), r#"lock "invoices" is busy: held by pid 4711 ("worker-2", user "app")"#);
/// assert!(busy("invoices", None).holder().is_none());
/// ```
#[must_use]
pub fn busy(id: impl IntoLockId, holder: impl Into<Option<Holder>>) -> Error {
    let found = match holder.into() {
        Some(holder) => Found::Holder(Box::new(holder)),
        None => Found::Unknown,
    };
    Error::busy(&id.into_lock_id(), Some(Duration::ZERO), found, SKIP)
}

/// A holder for [`busy`]: a client with that name, whose pid is 4711 and whose role is `app`, and of whom nothing else is
/// known. All fields can be set.
///
/// ```
/// use std::time::Duration;
///
/// let mut holder = pglock::testing::holder("worker-2");
/// holder.held_for = Some(Duration::from_secs(3));
/// let error = pglock::testing::busy("invoices", holder);
/// assert_eq!(error.to_string(), r#"lock "invoices" is busy: held for 3 s by pid 4711 ("worker-2", user "app")"#);
/// ```
#[must_use]
pub fn holder(application_name: impl Into<String>) -> Holder {
    Holder {
        pid: 4711,
        queued: false,
        prepared: None,
        backend_type: Some("CLIENT_BACKEND".to_owned()),
        application_name: application_name.into(),
        user: Some("app".to_owned()),
        client_addr: None,
        this_process: false,
        query: None,
        lock_name: None,
        since: None,
        held_for: None,
        kept_for: None,
    }
}

/// The error of a call whose lock was lost while its body ran, and which did not finish its work.
///
/// ```
/// let error = pglock::testing::lost("invoices");
/// assert!(error.is_lost() && !error.body_finished());
/// ```
#[must_use]
pub fn lost(id: impl IntoLockId) -> Error {
    Error::lost(&id.into_lock_id(), "the connection of its session broke")
}

/// The error of a call whose lock was lost, and whose body had returned `Ok` by then: its work is done.
///
/// ```
/// let error = pglock::testing::lost_after_the_body("invoices");
/// assert!(error.is_lost() && error.body_finished());
/// ```
#[must_use]
pub fn lost_after_the_body(id: impl IntoLockId) -> Error {
    lost(id).after_the_body()
}
