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
pub trait OnOwnSession: sealed::OnOwnSession {}

impl OnOwnSession for SessionScope {}

impl OnOwnSession for PermitScope {}

impl OnOwnSession for AllScope {}

mod sealed {
    pub trait OnOwnSession {}

    impl OnOwnSession for super::SessionScope {}

    impl OnOwnSession for super::PermitScope {}

    impl OnOwnSession for super::AllScope {}
}

/// Several locks, or none of them: see [`advisory_all`](crate::advisory_all).
#[derive(Clone, Copy, Debug)]
pub enum AllScope {}
