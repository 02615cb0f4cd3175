//! What a lock belongs to, as types: they decide which methods there are.

/// The lock belongs to a session, and is released by its guard or with the session: see [`Advisory`](crate::Advisory).
#[derive(Clone, Copy, Debug)]
pub enum SessionScope {}

/// The lock belongs to a transaction that pglock opens for it: see [`Advisory::xact`](crate::Advisory::xact).
#[derive(Clone, Copy, Debug)]
pub enum TransactionScope {}

/// One of the permits of a limit: see [`limit`](fn@crate::limit).
#[derive(Clone, Copy, Debug)]
pub enum PermitScope {}

/// What is on sessions of pglock's own for as long as it is held: a lock, several, or a permit of a limit.
#[diagnostic::on_unimplemented(
    message = "a lock after `xact()` ends with its transaction, and does not have this",
    label = "leave `xact()` out, or this",
    note = "the transaction has a session of its own, and its end releases the lock"
)]
pub trait OnOwnSession: sealed::OnOwnSession {}

impl OnOwnSession for SessionScope {}

impl OnOwnSession for PermitScope {}

impl OnOwnSession for AllScope {}

/// One lock, which belongs to a session: what has all methods of [`Advisory`](crate::Advisory).
#[diagnostic::on_unimplemented(
    message = "only a lock of `pglock::advisory(..)` has this, and this is an `Advisory<{Self}>`",
    label = "not for `{Self}`",
    note = "a `PermitScope` is a limit: it has several permits, on sessions of pglock's own, and this is for one lock",
    note = "an `AllScope` is several locks, on sessions of pglock's own, and this is for one: take those on a connection or in a transaction of yours one by one",
    note = "a `TransactionScope` is a lock after `xact()`, in a transaction of pglock's own: leave `xact()` out, or this"
)]
pub trait OneLock: sealed::OneLock {}

impl OneLock for SessionScope {}

/// What several can hold at the same time, if each asks for it as [shared](crate::Advisory::shared): anything but a permit of a
/// limit.
#[diagnostic::on_unimplemented(
    message = "a permit of a limit cannot be shared",
    label = "a permit has one holder",
    note = "leave `shared()` out, or allow more permits"
)]
pub trait Shareable: sealed::Shareable {}

impl Shareable for SessionScope {}

impl Shareable for TransactionScope {}

impl Shareable for AllScope {}

mod sealed {
    pub trait OneLock {}

    impl OneLock for super::SessionScope {}

    pub trait Shareable {}

    impl Shareable for super::SessionScope {}

    impl Shareable for super::TransactionScope {}

    impl Shareable for super::AllScope {}

    pub trait OnOwnSession {}

    impl OnOwnSession for super::SessionScope {}

    impl OnOwnSession for super::PermitScope {}

    impl OnOwnSession for super::AllScope {}
}

/// Several locks, or none of them: see [`advisory_all`](crate::advisory_all).
#[derive(Clone, Copy, Debug)]
pub enum AllScope {}
