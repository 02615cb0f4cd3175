//! The locks that there are: what is told of them, filters, and canceling and ending the sessions behind them.

mod actions;
mod configs;
mod filters;
mod kinds;
mod listing;

use pglock_tests::{Waiter, pid_of};

/// No pids. Crates that compare integers with types of their own keep the compiler from finding out what `[]` is.
const NOBODY: [i32; 0] = [];
