//! The ledger against a model of the server: sessions, other processes and callers do what they like, in any order, and
//! after every step all that the ledger promises is looked at.

mod alone;
mod check;
mod exhaustive;
mod fingerprint;
mod process;
mod random;
mod rules;
mod scene;
mod server;
mod steps;
