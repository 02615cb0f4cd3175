//! What can be written for the command, and what it answers with its code.

mod exit_codes;
mod keys;
mod options;
mod selecting;
