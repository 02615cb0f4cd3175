//! For the tests of programs that use pglock: locks of a test's own, errors without a database, and whether all was released.
//! Locks without a server are those of [`Database::in_process`](crate::Database::in_process).
//!
//! It needs the feature `testing`, which belongs into `[dev-dependencies]`. A release build with it does not compile, since
//! an isolated call excludes nobody outside of its test. Where tests are run with `--release`, turn `testing-in-release` on.
//!
//! ```toml
//! [dev-dependencies]
//! pglock = { path = "../pglock/pglock", features = ["testing"] } # `"0.1"` once it is on crates.io
//! ```

mod errors;
mod held;
mod isolated;

pub use errors::{busy, holder, lost, lost_after_the_body};
pub use held::{assert_none_held, assert_none_held_async};
pub use isolated::{isolated, isolated_async};
