//! What a database handle does by hand: opens its sessions, closes them, connects.

mod close;
mod own_connection;
mod ping;
