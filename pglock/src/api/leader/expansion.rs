//! What `#[pglock::leader]` expands to, apart from the parts of all attributes.

use std::future::Future;

use super::Leader;
use crate::api::advisory::Advisory;
use crate::error::Error;

/// One that leads by a lock.
pub fn leader_by(lock: Advisory) -> Leader {
    Leader::by(lock)
}

/// Runs a body in each term.
pub async fn lead<R, F: Future<Output = R>>(
    leader: Leader,
    body: impl FnMut() -> F,
    failed: impl Fn(&R) -> bool,
    on_error: impl FnOnce(Error) -> R,
) -> R {
    leader
        .lead_with(body, failed)
        .await
        .unwrap_or_else(on_error)
}

/// An argument of a body that begins anew in each term.
pub fn of_each_term<T: InEachTerm>(argument: &T) -> T {
    argument.in_each_term()
}

/// What each term can get one of: what is `Clone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not `Clone`, and a leader's body begins anew in each term",
    label = "each term gets a clone of this argument",
    note = "pass what can be cloned, such as a pool, an `Arc<T>` or a `&T`, or make it in the body"
)]
pub trait InEachTerm {
    /// One for this term.
    #[must_use]
    fn in_each_term(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone> InEachTerm for T {
    fn in_each_term(&self) -> Self {
        self.clone()
    }
}
