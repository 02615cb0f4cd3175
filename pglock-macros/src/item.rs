//! A function as the attribute is given it, and as it is written again.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Result, Signature, Token, Visibility, braced, token};

use crate::leftovers;
use crate::mark;

pub(crate) struct Item {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) content: Content,
}

/// The body is kept as tokens and not parsed, so that mistakes in it are reported by the compiler, as in a plain function.
pub(crate) enum Content {
    Block {
        brace: token::Brace,
        attrs: Vec<Attribute>,
        statements: TokenStream,
        /// Whether the body is somewhere in the statements, which other attributes have put around it.
        is_marked: bool,
    },
    Missing(Token![;]),
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        require_function(input)?;
        let sig = input.parse()?;
        let content = if input.peek(Token![;]) {
            Content::Missing(input.parse()?)
        } else {
            parse_block(&sig, input)?
        };
        Ok(Self {
            attrs,
            vis,
            sig,
            content,
        })
    }
}

fn parse_block(sig: &Signature, input: ParseStream<'_>) -> Result<Content> {
    let content;
    let brace = braced!(content in input);
    let attrs = content.call(Attribute::parse_inner)?;
    let mut is_marked = mark::is_in(content.cursor());
    let mut statements = content.parse()?;
    if !is_marked
        && sig.asyncness.is_none()
        && let Some(marked) = leftovers::mark_async_body(sig, &statements)?
    {
        is_marked = true;
        statements = marked;
    }
    Ok(Content::Block {
        brace,
        attrs,
        statements,
        is_marked,
    })
}

/// Refuses anything that is not a function, and points to it.
fn require_function(input: ParseStream<'_>) -> Result<()> {
    let ahead = input.fork();
    while !ahead.peek(Token![fn]) {
        let is_modifier = ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
            || ahead.peek(syn::LitStr);
        if !is_modifier {
            break;
        }
        ahead.parse::<proc_macro2::TokenTree>()?;
    }
    if ahead.peek(Token![fn]) {
        return Ok(());
    }
    let item = ahead
        .call(Ident::parse_any)
        .map_or_else(|_| "something else".to_owned(), |word| format!("`{word}`"));
    let hint = if item == "`impl`" {
        ": put the attribute on the methods that need it"
    } else {
        ""
    };
    Err(input.error(format!("expected a function, found {item}{hint}")))
}

impl Item {
    // Input:  /// docs
    //         pub fn name(..) -> R { #![inner] work(); Ok(()) }
    // Output: /// docs
    //         pub fn name(..) -> R { #![inner] {statements} }
    //
    /// The function with `statements` in place of its body. What other attributes have put around the body stays.
    pub(crate) fn emit(&self, statements: &TokenStream) -> TokenStream {
        match &self.content {
            Content::Block {
                statements: around,
                is_marked: true,
                ..
            } => self.emit_whole(&mark::replace(around, statements)),
            _ => self.emit_whole(statements),
        }
    }

    /// The function as it was.
    pub(crate) fn unchanged(&self) -> TokenStream {
        match &self.content {
            Content::Block { statements, .. } => self.emit_whole(statements),
            Content::Missing(_) => self.emit_whole(&TokenStream::new()),
        }
    }

    fn emit_whole(&self, statements: &TokenStream) -> TokenStream {
        let Self {
            attrs,
            vis,
            sig,
            content,
        } = self;
        let mut tokens = quote!(#(#attrs)* #vis #sig);
        match content {
            Content::Block { brace, attrs, .. } => brace.surround(&mut tokens, |tokens| {
                tokens.extend(quote!(#(#attrs)* #statements));
            }),
            Content::Missing(semicolon) => semicolon.to_tokens(&mut tokens),
        }
        tokens
    }
}
