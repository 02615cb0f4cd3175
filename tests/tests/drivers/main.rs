//! What pglock promises of connections of the caller's own: one suite, run over every driver.

mod blocking;
mod nonblocking;
