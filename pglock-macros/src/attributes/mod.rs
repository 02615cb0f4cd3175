//! The attributes: what each one takes, what it refuses, and the code that it expands to.

pub(crate) mod advisory;
pub(crate) mod leader;
pub(crate) mod limit;
pub(crate) mod lock_timeouts;
pub(crate) mod named_lock;
pub(crate) mod prioritize;
pub(crate) mod retry;
mod run_again;
pub(crate) mod timeout;

use proc_macro2::TokenStream;
use syn::Result;

use crate::function::Function;
use crate::options::shared::SharedOptions;
use lock_timeouts::LockTimeout;

/// An attribute whose arguments have been read.
pub(crate) trait Attribute {
    /// The options that all attributes have.
    fn shared_options(&self) -> &SharedOptions;

    /// Whether it names its lock after the function, for want of a `lock_id`.
    fn has_default_id(&self) -> bool {
        false
    }

    /// What it has to do with the lock timeout of a connection.
    fn lock_timeout(&self, _: &Function) -> Option<LockTimeout<'_>> {
        None
    }

    /// Checks that it fits `function`, and that its options fit each other.
    fn validate(&self, function: &Function) -> Result<()>;

    /// The statements that run `body`, a block, under this attribute. `validate` has succeeded before.
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream;
}
