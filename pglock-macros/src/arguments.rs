//! The arguments in the body: it takes all of them, so that they are dropped under the lock, in the order of a plain
//! function.
//!
//! A closure and an async block capture what they name, and as much of it as they name. They drop it after their locals,
//! in the order in which they named it first. Where `client` is a place, the closure isn't a `move` one, because it only
//! borrows the place: it captures an argument by value where it moves it.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{FnArg, Pat, ReceiverKind, Signature};

use crate::function::{Function, names_of};
use crate::types;

/// What attributes say of the arguments.
pub(crate) struct Mentions {
    /// In their options.
    pub(crate) options: TokenStream,
    /// In `on_error`, which borrows what it names for as long as the body runs.
    pub(crate) on_error: String,
}

/// What goes before a use of an argument whose name says that it is not used.
pub(crate) fn allow_hidden(name: &Ident) -> Option<TokenStream> {
    let is_hidden = name.unraw().to_string().starts_with('_');
    is_hidden.then(|| quote!(#[allow(clippy::used_underscore_binding)]))
}

// Input:  fn report(name: String, _tx: Tx, id: u8) { .. }
// Output: let _ = &_tx; let _ = &name;
//
// With a place of `client`:
//         if false { drop(_tx); drop(name); unreachable!(); }
//
// Expansion: expansions/arguments.rs, expansions/client_place.rs
pub(crate) fn taken(function: &Function, mentions: &Mentions) -> TokenStream {
    let body = function.statements().to_string();
    let (mut captured, mut unused) = (Vec::new(), Vec::new());
    for name in dropped(&function.sig) {
        let text = name.unraw().to_string();
        let option = use_in(&mentions.options, &text);
        if option == Use::Taken || is_word_in(&mentions.on_error, &text) {
            continue;
        }
        let is_used = is_word_in(&body, &text) || option == Use::Borrowed || text == "self";
        if is_used || text.starts_with('_') {
            captured.push(name);
        } else {
            // Nothing uses it, as the compiler then says.
            unused.push(quote!(let #name = #name;));
        }
    }
    captured.reverse();
    let each = captured.iter().map(|name| {
        let allow = allow_hidden(name);
        if function.has_place {
            quote!(#allow ::core::mem::drop(#name);)
        } else {
            quote!(#allow let _ = &#name;)
        }
    });
    let before = if function.has_place && !captured.is_empty() {
        // It is never run: that it is there makes the closure capture them by value.
        quote!(if false { #(#each)* ::core::unreachable!(); })
    } else {
        each.collect()
    };
    quote!(#before #(#unused)*)
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
                && !types::has_nothing_to_drop(&argument.ty)
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

/// What an option does with an argument, as far as its tokens show.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Use {
    None,
    /// `&name`, `format!("{}", name)`, `"report-{name}"`
    Borrowed,
    /// Perhaps: `name`, `name.field`
    Taken,
}

fn use_in(options: &TokenStream, name: &str) -> Use {
    most_use_in(options, name, false)
}

/// With `borrows` for the arguments of `format!`.
fn most_use_in(options: &TokenStream, name: &str, borrows: bool) -> Use {
    let trees: Vec<_> = options.clone().into_iter().collect();
    let uses = trees.iter().enumerate().map(|(at, tree)| match tree {
        TokenTree::Literal(literal) if is_word_in(&literal.to_string(), name) => Use::Borrowed,
        TokenTree::Ident(ident) if ident.unraw() == name => {
            let is_borrowed = borrows || at > 0 && is_sign(&trees[at - 1], '&');
            if is_borrowed && !is_called(&trees[at + 1..]) {
                Use::Borrowed
            } else {
                Use::Taken
            }
        }
        TokenTree::Group(group) => {
            let is_format = at > 1
                && is_sign(&trees[at - 1], '!')
                && matches!(&trees[at - 2], TokenTree::Ident(name) if name == "format");
            most_use_in(&group.stream(), name, is_format)
        }
        _ => Use::None,
    });
    uses.fold(
        Use::None,
        |most, here| if here > most { here } else { most },
    )
}

/// Whether a method is called on a name, or on a field of it, that is followed by `after`: it may take the whole.
fn is_called(after: &[TokenTree]) -> bool {
    match after {
        [dot, _, after @ ..] if is_sign(dot, '.') => match after {
            [TokenTree::Group(arguments), ..] => arguments.delimiter() == Delimiter::Parenthesis,
            _ => is_called(after),
        },
        _ => false,
    }
}

fn is_sign(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == sign)
}

/// Whether a word is in code, or in a string in it, such as `"{word}"`.
pub(crate) fn is_word_in(code: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    code.match_indices(word).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_in_options() {
        for (options, expected) in [
            ("\"report\", using = here", Use::None),
            ("\"report-{name}\"", Use::Borrowed),
            ("\"report-{name.id:03}\"", Use::Borrowed),
            ("\"report-{names}\"", Use::None),
            ("using = &name", Use::Borrowed),
            ("using = &name.db.1", Use::Borrowed),
            ("lock_id = format!(\"{}-{}\", here, name.id)", Use::Borrowed),
            ("lock_id = format!(\"{name}\")", Use::Borrowed),
            ("lock_id = name", Use::Taken),
            ("lock_id = r#name", Use::Taken),
            ("lock_id = name.id", Use::Taken),
            ("lock_id = (1, name)", Use::Taken),
            ("using = &name.into_db()", Use::Taken),
            ("using = &name.db.clone()", Use::Taken),
            ("lock_id = format!(\"{}\", name.into_id())", Use::Taken),
            ("lock_id = id!(name)", Use::Taken),
            ("\"report-{name}\", using = name", Use::Taken),
            ("!(name)", Use::Taken),
        ] {
            let used = use_in(&options.parse().unwrap(), "name");
            assert!(used == expected, "{options}: {used:?}");
        }
    }
}
