//! The arguments in the body: it takes all of them, so that they are dropped under the lock, in the order of a plain
//! function.
//!
//! A closure and an async block capture what they name, and as much of it as they name. They drop it after their locals,
//! in the order in which they named it first.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{FnArg, Pat, ReceiverKind, Signature};

use crate::function::{Function, names_of};
use crate::types;

/// What attributes say of the arguments.
pub(crate) struct Mentions {
    /// In their options.
    pub(crate) options: String,
    /// In `on_error`, which borrows what it names for as long as the body runs.
    pub(crate) on_error: String,
    /// The place of `client`, on which the lock is released after the body, which therefore takes nothing as a whole.
    pub(crate) place: Option<Ident>,
}

// Input:  fn report(name: String, _tx: Tx, id: u8) { .. }
// Output: let _ = &_tx; let _ = &name;
//
// Expansion: expansions/arguments.rs
pub(crate) fn taken(function: &Function, mentions: &Mentions) -> TokenStream {
    let body = function.statements().to_string();
    let (mut named, mut unused) = (Vec::new(), Vec::new());
    for name in dropped(&function.sig) {
        let text = name.unraw().to_string();
        let is_the_place = mentions.place.as_ref().is_some_and(|place| *place == text);
        if is_the_place || is_word_in(&mentions.on_error, &text) {
            continue;
        }
        let is_in_body = is_word_in(&body, &text);
        let is_used = is_in_body
            || text == "self"
            || text.starts_with('_')
            || is_word_in(&mentions.options, &text);
        if mentions.place.is_none() && is_used {
            named.push(name);
        } else if !is_in_body && text != "self" {
            unused.push(name);
        }
    }
    let named = named.iter().rev().map(|name| {
        let is_underscored = name.to_string().starts_with('_');
        let allow = is_underscored.then(|| quote!(#[allow(clippy::used_underscore_binding)]));
        quote!(#allow let _ = &#name;)
    });
    // The compiler calls the latter unused, as they are.
    quote!(#(#named)* #(let #unused = #unused;)*)
}

/// Gives a name to each argument that is `_`, where no other attribute will see it.
pub(crate) fn name_wildcards(function: &mut Function) {
    if function.has_other_attributes() {
        return;
    }
    for sig in [&mut function.item.sig, &mut function.sig] {
        for (number, argument) in sig.inputs.iter_mut().enumerate() {
            if let FnArg::Typed(argument) = argument
                && let Pat::Wild(_) = &*argument.pat
            {
                let name = Ident::new(&format!("_{number}"), Span::mixed_site());
                *argument.pat = syn::parse_quote!(#name);
            }
        }
    }
}

/// The names of what is dropped: not of references and numbers, which have nothing to drop.
fn dropped(sig: &Signature) -> Vec<Ident> {
    let of_argument = |argument: &FnArg| match argument {
        FnArg::Receiver(receiver) => match &receiver.kind {
            ReceiverKind::Reference(..) => Vec::new(),
            ReceiverKind::Typed(_, ty) if types::has_nothing_to_drop(ty) => Vec::new(),
            _ => vec![Ident::new("self", receiver.self_token.span)],
        },
        // One with attributes may not be there.
        FnArg::Typed(argument) if argument.attrs.is_empty() => {
            if types::has_nothing_to_drop(&argument.ty) {
                Vec::new()
            } else {
                names_of(&argument.pat).into_iter().cloned().collect()
            }
        }
        FnArg::Typed(_) => Vec::new(),
    };
    sig.inputs.iter().flat_map(of_argument).collect()
}

/// Whether a word is in code, or in a string in it, such as `"{word}"`.
fn is_word_in(code: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}
