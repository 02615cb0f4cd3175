//! The attributes of [pglock](https://docs.rs/pglock): use them through that crate.

mod advisory;
mod args;
mod client;
mod duration;
mod function;
mod layers;
mod lock_id;
mod on_error;
mod template;
mod types;

use proc_macro::TokenStream;

/// Takes an advisory lock.
#[proc_macro_attribute]
pub fn advisory(arguments: TokenStream, item: TokenStream) -> TokenStream {
    layers::expand(advisory::read, arguments.into(), item.into()).into()
}
