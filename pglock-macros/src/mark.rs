//! The mark at the beginning of the user's body in what an attribute expands to.
//!
//! An attribute that goes by a name of the user's own is not known to those above it, and is expanded after them. By the
//! mark it finds the body, and goes around that, inside the others, and not around what they expanded to. The mark also
//! tells it what they are, because they are validated together.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::buffer::Cursor;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Signature, braced};

const NAME: &str = "pglock_body";

// Input:  async fn report() -> R
// Output: #[cfg(false)] #[pglock_body] #[pglock::advisory("report")] async fn report() -> R {}
//
// An item that is never compiled costs nothing, and no lint sees it. It has the signature of the body, which attributes of
// others may change, and the attributes that are around the body, `around`.
pub(crate) fn mark(around: &[Attribute], sig: &Signature) -> TokenStream {
    let name = Ident::new(NAME, Span::mixed_site());
    quote!(#[cfg(false)] #[#name] #(#around)* #sig {})
}

/// A body with a mark.
pub(crate) struct MarkedBody {
    /// Those of pglock's attributes that are around it, outermost first.
    pub(crate) around: Vec<Attribute>,
    /// The signature in the mark.
    pub(crate) sig: Signature,
    /// Where the block of the body was written.
    pub(crate) span: Span,
    /// What is in the block, without the mark.
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
        .flat_map(|group| {
            if !is_marked(&group) {
                return find(&group.stream());
            }
            let parsed = parse_body.parse2(group.stream()).ok();
            let body = parsed.map(|(around, sig, statements)| MarkedBody {
                around,
                sig,
                span: group.span(),
                statements,
            });
            body.into_iter().collect()
        })
        .collect()
}

/// `tokens` with `statements` in place of each marked body.
pub(crate) fn replace(tokens: &TokenStream, statements: &TokenStream) -> TokenStream {
    let replaced = tokens.clone().into_iter().map(|tree| match tree {
        TokenTree::Group(group) => {
            let inside = if is_marked(&group) {
                statements.clone()
            } else {
                replace(&group.stream(), statements)
            };
            TokenTree::Group(with_content(&group, inside))
        }
        other => other,
    });
    replaced.collect()
}

/// `block` with other tokens in it.
pub(crate) fn with_content(block: &Group, content: TokenStream) -> Group {
    let mut other = Group::new(block.delimiter(), content);
    other.set_span(block.span());
    other
}

/// Whether a block begins with `#[cfg(false)] #[pglock_body]`.
fn is_marked(block: &Group) -> bool {
    match block.stream().into_iter().nth(3) {
        Some(TokenTree::Group(name)) => name
            .stream()
            .into_iter()
            .next()
            .is_some_and(|it| is_name(&it)),
        _ => false,
    }
}

fn parse_body(input: ParseStream<'_>) -> syn::Result<(Vec<Attribute>, Signature, TokenStream)> {
    let of_the_mark = input.call(Attribute::parse_outer)?;
    // Behind `#[cfg(false)] #[pglock_body]`.
    let around = of_the_mark.into_iter().skip(2).collect();
    let sig = input.parse()?;
    let _empty;
    braced!(_empty in input);
    Ok((around, sig, input.parse()?))
}

fn is_name(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Ident(ident) if ident == NAME)
}
