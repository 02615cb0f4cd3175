//! The annotated function: how it is read, what no attribute can be put on, and how it is written again.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, FnArg, Ident, Pat, Path, Result, ReturnType, Signature, Token, Type,
    Visibility, braced, token,
};

use crate::mark::{self, MarkedBody};
use crate::types::{self, Lazy};

pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Body,
}

/// The body is kept as tokens and not parsed, so that mistakes in it are reported by the compiler, as in a plain function.
pub(crate) enum Body {
    Block {
        brace: token::Brace,
        attrs: Vec<Attribute>,
        statements: TokenStream,
        /// The bodies in `statements`, where these are what another attribute of pglock's has expanded to.
        marked: Vec<MarkedBody>,
    },
    Missing(Token![;]),
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        require_function(input)?;
        let sig = input.parse()?;
        let body = if input.peek(Token![;]) {
            Body::Missing(input.parse()?)
        } else {
            parse_block(input)?
        };
        Ok(Self {
            attrs,
            vis,
            sig,
            body,
        })
    }
}

fn parse_block(input: ParseStream<'_>) -> Result<Body> {
    let content;
    let brace = braced!(content in input);
    let attrs = content.call(Attribute::parse_inner)?;
    let is_marked = mark::is_in(content.cursor());
    let statements = content.parse()?;
    Ok(Body::Block {
        brace,
        attrs,
        marked: if is_marked {
            mark::find(&statements)
        } else {
            Vec::new()
        },
        statements,
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

impl Function {
    // Input:  fn report()
    // Output: ::core::concat!(::core::module_path!(), "::", "report")
    pub(crate) fn path(&self) -> TokenStream {
        let name = self.sig.ident.unraw().to_string();
        quote!(::core::concat!(::core::module_path!(), "::", #name))
    }

    /// Refuses functions that no attribute of pglock's works on.
    pub(crate) fn check(&self) -> Result<()> {
        let name = &self.sig.ident;
        if let Some(constness) = &self.sig.constness {
            return Err(Error::new(
                constness.span,
                "a `const fn` cannot wait for a database: remove `const`",
            ));
        }
        if let Body::Missing(_) = self.body {
            return Err(Error::new_spanned(
                &self.sig,
                format!("`{name}` has no body here: put the attribute on its implementation"),
            ));
        }
        self.check_mark()?;
        let ReturnType::Type(_, returned) = &self.sig.output else {
            return Ok(());
        };
        if let Type::Never(_) = types::ungroup(returned) {
            return Err(Error::new_spanned(
                returned,
                format!(
                    "`{name}` never returns, so it cannot return pglock's errors: return a `Result<std::convert::Infallible, E>` rather than `!`"
                ),
            ));
        }
        let remedy = match (types::lazy(returned), self.sig.asyncness) {
            (None, _) => return Ok(()),
            (Some(Lazy::Future), None) => {
                "a future, which would run only after the attribute has ended: make it an `async fn` (under `#[async_trait]`, put the attribute on an `async fn` that it calls)"
            }
            (Some(Lazy::Future), Some(_)) => {
                "a future, which would run only after the attribute has ended: await it in the body, and return what comes of it"
            }
            (Some(Lazy::Stream), _) => {
                "a stream, which would run only after the attribute has ended: collect it in the body and return a `Vec`, or hold the lock in a guard while you read it"
            }
        };
        Err(Error::new(
            name.span(),
            format!("`{name}` returns {remedy}"),
        ))
    }

    /// Asks the compiler whether what is returned is a future or a stream, where its name does not tell.
    // Expansion: expansions/alias.rs
    pub(crate) fn refuse_lazy(&self, krate: &Path) -> TokenStream {
        let returned = match (&self.sig.output, &self.body) {
            // An attribute before this one has asked.
            (_, Body::Block { marked, .. }) if !marked.is_empty() => None,
            (ReturnType::Type(_, returned), _) => types::perhaps_lazy(returned),
            (ReturnType::Default, _) => None,
        };
        let Some(returned) = returned else {
            return TokenStream::new();
        };
        // Not at the type: with its position, that one of the traits is not needed would be the user's business.
        let import = quote!(use #krate::__rt::{HasRun as _, RunsLater as _};);
        quote_spanned! {returned.span()=>
            #krate::__rt::runs_in_time::<#returned, _>({
                #import
                (&#krate::__rt::Returned::<#returned>(::core::marker::PhantomData)).runs()
            });
        }
    }

    /// Refuses a body that others rewrote after pglock had marked it: how to wrap it cannot be told from the signature.
    fn check_mark(&self) -> Result<()> {
        let is_as_marked = match &self.body {
            Body::Block { marked, .. } => match &marked[..] {
                [] => true,
                [body] => body.is_async == self.sig.asyncness.is_some(),
                _ => false,
            },
            Body::Missing(_) => true,
        };
        if is_as_marked {
            return Ok(());
        }
        Err(Error::new(
            Span::call_site(),
            format!(
                "an attribute between this one and another one of pglock's rewrites `{}`: put pglock's attributes next to each other",
                self.sig.ident
            ),
        ))
    }

    pub(crate) fn returns_nothing(&self) -> bool {
        match &self.sig.output {
            ReturnType::Default => true,
            ReturnType::Type(_, returned) => {
                matches!(types::ungroup(returned), Type::Tuple(tuple) if tuple.elems.is_empty())
            }
        }
    }

    /// The return type, for generated code to repeat: with `_` for each `impl Trait`, which cannot be named twice.
    pub(crate) fn returned(&self) -> TokenStream {
        match &self.sig.output {
            ReturnType::Default => {
                let mut unit = Group::new(Delimiter::Parenthesis, TokenStream::new());
                unit.set_span(Span::call_site().located_at(self.sig.ident.span()));
                unit.to_token_stream()
            }
            ReturnType::Type(_, returned) => {
                let mut returned = returned.clone();
                types::erase_impl_trait(&mut returned);
                returned.to_token_stream()
            }
        }
    }

    /// Every name that the arguments bind.
    pub(crate) fn bound_names(&self) -> Vec<&Ident> {
        let mut names = Vec::new();
        for argument in &self.sig.inputs {
            if let FnArg::Typed(argument) = argument {
                collect_names(&argument.pat, &mut names);
            }
        }
        names
    }

    /// Every name that a lock ID can use: the arguments, `self`, and the const parameters.
    pub(crate) fn nameable(&self) -> Vec<Ident> {
        let receiver = self
            .sig
            .receiver()
            .map(|receiver| Ident::new("self", receiver.self_token.span));
        let constants = self
            .sig
            .generics
            .const_params()
            .map(|constant| &constant.ident);
        let arguments = self.bound_names().into_iter();
        receiver
            .into_iter()
            .chain(arguments.chain(constants).cloned())
            .collect()
    }

    /// The argument of that name, unless it is part of a pattern.
    pub(crate) fn typed_argument(&self, name: &Ident) -> Option<(Option<Token![mut]>, &Type)> {
        self.sig.inputs.iter().find_map(|argument| match argument {
            FnArg::Typed(argument) => match &*argument.pat {
                Pat::Ident(pattern) if pattern.ident == *name => {
                    Some((pattern.mutability, &*argument.ty))
                }
                _ => None,
            },
            FnArg::Receiver(_) => None,
        })
    }

    // Input:  { work(); Ok(()) }
    // Output: || -> R { work(); Ok(()) }
    pub(crate) fn closure(&self, body: &TokenStream) -> TokenStream {
        let returned = self.returned();
        quote!(|| -> #returned #body)
    }

    // Input:  { work().await; Ok(()) }
    // Output: async move {
    //             if let Some(returned) = None::<R> { return returned; }
    //             { work().await; Ok(()) }
    //         }
    //
    // There is no syntax for the type of an async block. The `return` that never happens fixes it, so that a body of
    // another type is reported at the body and not at the attribute.
    pub(crate) fn future(&self, body: &TokenStream) -> TokenStream {
        let output = self.returned();
        let mut returned = local("returned");
        returned.set_span(returned.span().located_at(output.span()));
        let edge = quote_spanned! {output.span()=>
            if let ::core::option::Option::Some(#returned) = ::core::option::Option::None::<#output> {
                return #returned;
            }
        };
        quote!(async move { #edge #body })
    }

    /// The body as it was written, with the mark where another attribute may look for it.
    pub(crate) fn block(&self) -> TokenStream {
        match &self.body {
            Body::Block {
                brace,
                statements,
                marked,
                ..
            } => {
                let (span, statements) = match marked.first() {
                    Some(body) => (body.span, &body.statements),
                    None => (brace.span.join(), statements),
                };
                let mark = self
                    .has_other_attributes()
                    .then(|| mark::mark(self.sig.asyncness));
                let mut block = Group::new(Delimiter::Brace, quote!(#mark #statements));
                // The position of the user's braces, so that errors are reported there, with the hygiene of a macro, so that
                // the compiler does not call them unnecessary.
                block.set_span(span.resolved_at(Span::mixed_site()));
                block.to_token_stream()
            }
            Body::Missing(semicolon) => semicolon.to_token_stream(),
        }
    }

    /// Whether one of the attributes that are left may be one of pglock's, by a name of the user's own.
    fn has_other_attributes(&self) -> bool {
        !self.attrs.iter().all(|other| other.path().is_ident("doc"))
    }

    // Input:  /// docs
    //         pub fn name(..) -> R { #![inner] work(); Ok(()) }
    // Output: /// docs
    //         pub fn name(..) -> R { #![inner] {statements} }
    //
    // Where another attribute of pglock's has put its code around the body, that code stays.
    pub(crate) fn emit(&self, statements: &TokenStream) -> TokenStream {
        match &self.body {
            Body::Block {
                statements: around,
                marked,
                ..
            } if !marked.is_empty() => self.emit_whole(&mark::replace(around, statements)),
            _ => self.emit_whole(statements),
        }
    }

    /// The function as it was written.
    pub(crate) fn unchanged(&self) -> TokenStream {
        match &self.body {
            Body::Block { statements, .. } => self.emit_whole(statements),
            Body::Missing(_) => self.emit_whole(&TokenStream::new()),
        }
    }

    fn emit_whole(&self, statements: &TokenStream) -> TokenStream {
        let Self {
            attrs,
            vis,
            sig,
            body,
        } = self;
        let mut tokens = quote!(#(#attrs)* #vis #sig);
        match body {
            Body::Block { brace, attrs, .. } => brace.surround(&mut tokens, |tokens| {
                tokens.extend(quote!(#(#attrs)* #statements));
            }),
            Body::Missing(semicolon) => semicolon.to_tokens(&mut tokens),
        }
        tokens
    }
}

fn collect_names<'a>(pattern: &'a Pat, names: &mut Vec<&'a Ident>) {
    match pattern {
        Pat::Ident(pattern) => {
            names.push(&pattern.ident);
            if let Some((_, pattern)) = &pattern.subpat {
                collect_names(pattern, names);
            }
        }
        Pat::Paren(pattern) => collect_names(&pattern.pat, names),
        Pat::Reference(pattern) => collect_names(&pattern.pat, names),
        Pat::Type(pattern) => collect_names(&pattern.pat, names),
        Pat::Slice(pattern) => pattern
            .elems
            .iter()
            .for_each(|pattern| collect_names(pattern, names)),
        Pat::Tuple(pattern) => pattern
            .elems
            .iter()
            .for_each(|pattern| collect_names(pattern, names)),
        Pat::TupleStruct(pattern) => pattern
            .elems
            .iter()
            .for_each(|pattern| collect_names(pattern, names)),
        Pat::Struct(pattern) => pattern
            .fields
            .iter()
            .for_each(|field| collect_names(&field.pat, names)),
        _ => {}
    }
}

/// The name of a local of generated code. User code cannot see it.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
