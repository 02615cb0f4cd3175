//! `#[pglock::advisory]`.

mod args;
mod expand;
mod hold_limits;
mod side_effect;
mod validate;

use proc_macro2::TokenStream;
use syn::Result;

pub(super) use self::args::Args;
use self::expand::Expansion;
use crate::attributes::Attribute;
use crate::function::Function;
use crate::options::shared::SharedOptions;

/// Parses the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

impl Attribute for Args {
    fn shared_options(&self) -> &SharedOptions {
        &self.shared_options
    }

    fn has_default_id(&self) -> bool {
        self.lock_id.is_none()
    }

    fn validate(&self, function: &Function) -> Result<()> {
        self.validate_all(function)
    }

    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        Expansion::new(self, function).statements(body)
    }
}
