//! TLS of pglock's own sessions, against servers whose certificates are made here.

mod certificates;
mod passwords;
mod refused;
mod sessions;
