//! The attributes: what each one takes, what it refuses, and the code that it expands to.

pub(crate) mod advisory;
pub(crate) mod prioritize;
pub(crate) mod timeout;

use proc_macro2::TokenStream;
use syn::{Path, Result};

use crate::function::Function;

/// What is known of one attribute from its arguments.
pub(crate) trait Attribute {
    /// The path of the runtime crate.
    fn krate(&self) -> Path;

    /// Whether it takes a lock that is called after the function.
    fn has_default_id(&self) -> bool {
        false
    }

    /// Whether it can be put on `function`.
    fn validate(&self, function: &Function) -> Result<()>;

    /// The statements that run `body`, a block, as this attribute says. `self` has been validated.
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream;
}
