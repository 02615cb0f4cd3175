//! The mark at the beginning of the user's body in what an attribute expands to.
//!
//! An attribute that goes by a name of the user's own is not known to those above it, and is expanded after them. By the
//! mark it finds the body, and goes around that, inside the others, and not around what they expanded to.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::Token;
use syn::buffer::Cursor;

const NAME: &str = "pglock_body";

// Output: #[cfg(false)] async fn pglock_body() {}
//
// An item that is never compiled costs nothing, and no lint sees it.
pub(crate) fn mark(asyncness: Option<Token![async]>) -> TokenStream {
    let name = Ident::new(NAME, Span::mixed_site());
    quote!(#[cfg(false)] #asyncness fn #name() {})
}

/// A body with a mark.
pub(crate) struct MarkedBody {
    /// Whether it was that of an `async fn`.
    pub(crate) is_async: bool,
    /// Where its block was written.
    pub(crate) span: Span,
    /// What is in its block, without the mark.
    pub(crate) statements: TokenStream,
}

/// Whether there is a mark in `tokens`. That takes no time, other than [`find`], which nearly always finds none.
pub(crate) fn is_in(mut tokens: Cursor<'_>) -> bool {
    loop {
        if let Some((inside, _, _, after)) = tokens.any_group() {
            if is_in(inside) {
                return true;
            }
            tokens = after;
        } else if let Some((tree, after)) = tokens.token_tree() {
            if is_name(&tree) {
                return true;
            }
            tokens = after;
        } else {
            return false;
        }
    }
}

/// The marked bodies in `tokens`.
pub(crate) fn find(tokens: &TokenStream) -> Vec<MarkedBody> {
    let groups = tokens.clone().into_iter().filter_map(|tree| match tree {
        TokenTree::Group(group) => Some(group),
        _ => None,
    });
    groups
        .flat_map(|group| read(&group).map_or_else(|| find(&group.stream()), |body| vec![body]))
        .collect()
}

/// `tokens` with `statements` in place of each marked body.
pub(crate) fn replace(tokens: &TokenStream, statements: &TokenStream) -> TokenStream {
    let replaced = tokens.clone().into_iter().map(|tree| match tree {
        TokenTree::Group(group) => {
            let inside = match read(&group) {
                Some(_) => statements.clone(),
                None => replace(&group.stream(), statements),
            };
            let mut replaced = Group::new(group.delimiter(), inside);
            replaced.set_span(group.span());
            TokenTree::Group(replaced)
        }
        other => other,
    });
    replaced.collect()
}

fn read(block: &Group) -> Option<MarkedBody> {
    let mut trees: Vec<_> = block.stream().into_iter().collect();
    // `#`, `[cfg(false)]`, perhaps `async`, `fn`, the name, `()`, `{}`.
    let name = trees.iter().take(5).position(is_name)?;
    let statements = trees.split_off((name + 3).min(trees.len()));
    Some(MarkedBody {
        is_async: name == 4,
        span: block.span(),
        statements: statements.into_iter().collect(),
    })
}

fn is_name(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == NAME)
}
