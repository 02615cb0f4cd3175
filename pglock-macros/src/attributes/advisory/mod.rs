//! `#[pglock::advisory]`.

mod args;
mod expand;
mod hold_limits;
mod side_effect;
mod validate;

use proc_macro2::{Span, TokenStream};
use syn::{Path, Result};

use self::args::Args;
use self::expand::Expansion;
use crate::attributes::Attribute;
use crate::function::Function;

/// Parses the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

impl Attribute for Args {
    fn krate(&self) -> Path {
        self.shared_options.krate_at(Span::call_site())
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
