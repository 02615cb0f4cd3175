//! What holds on every connection of the caller's, whatever its driver: written once, run on each.

mod blocking;
