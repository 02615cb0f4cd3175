//! The annotated function: what attributes ask of it, what no attribute can be put on, and the body in its new place.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Error, FnArg, Ident, Pat, PatIdent, Path, Result, ReturnType, Signature, Token, Type,
};

use crate::item::{Content, Item};
use crate::mark;
use crate::types::{self, Lazy};

pub(crate) struct Function {
    /// The function that is written again.
    pub(crate) item: Item,
    /// The signature of the body. It is not that of the item where another attribute has made a plain `fn` of an `async fn`.
    pub(crate) sig: Signature,
    /// Those of pglock's attributes that are around the body: at first those that were expanded before.
    pub(crate) around: Vec<Attribute>,
    /// Whether a `client` is a place, which is borrowed again after the body.
    pub(crate) has_place: bool,
    body: Body,
}

enum Body {
    Block {
        span: Span,
        statements: TokenStream,
    },
    Missing,
    /// There are several copies of it.
    Copied,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let item: Item = input.parse()?;
        let mut sig = item.sig.clone();
        let mut around = Vec::new();
        let body = match &item.content {
            Content::Missing(_) => Body::Missing,
            Content::Block {
                brace,
                statements,
                is_marked,
                ..
            } => {
                let mut marked = if *is_marked {
                    mark::find(statements)
                } else {
                    Vec::new()
                };
                match (marked.pop(), marked.is_empty()) {
                    (None, _) => Body::Block {
                        span: brace.span.join(),
                        statements: statements.clone(),
                    },
                    (Some(body), true) => {
                        sig = body.sig;
                        around = body.around;
                        Body::Block {
                            span: body.span,
                            statements: body.statements,
                        }
                    }
                    (Some(_), false) => Body::Copied,
                }
            }
        };
        Ok(Self {
            item,
            sig,
            around,
            has_place: false,
            body,
        })
    }
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
        if let Body::Missing = self.body {
            return Err(Error::new_spanned(
                &self.sig,
                format!("`{name}` has no body here: put the attribute on its implementation"),
            ));
        }
        if let Body::Copied = self.body {
            return Err(Error::new(
                Span::call_site(),
                format!(
                    "an attribute between this one and another one of pglock's copies the body of `{name}`: put pglock's attributes next to each other"
                ),
            ));
        }
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
                "a future, which would run only after the attribute has ended: make it an `async fn`, or put all of its body into one `Box::pin(async move { .. })`, as `#[async_trait]` does"
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
        let ReturnType::Type(_, returned) = &self.sig.output else {
            return TokenStream::new();
        };
        let each = types::perhaps_lazy(returned);
        // Not at the type: with its position, that one of the traits is not needed would be the user's business.
        let import = quote!(use #krate::__rt::{HasRun as _, RunsLater as _};);
        let each = each.into_iter().map(|returned| {
            quote_spanned! {returned.span()=>
                #krate::__rt::runs_in_time::<#returned, _>({
                    #import
                    (&#krate::__rt::Returned::<#returned>(::core::marker::PhantomData)).runs()
                });
            }
        });
        each.collect()
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
        let patterns = self
            .sig
            .inputs
            .iter()
            .filter_map(|argument| match argument {
                FnArg::Receiver(_) => None,
                FnArg::Typed(argument) => Some(&*argument.pat),
            });
        patterns.flat_map(names_of).collect()
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
    // Output: move || -> R { work(); Ok(()) }
    //
    // With a place it must not move all that it names: see `arguments.rs`.
    pub(crate) fn closure(&self, body: &TokenStream) -> TokenStream {
        let returned = self.returned();
        let by_value = (!self.has_place).then(|| quote!(move));
        quote!(#by_value || -> #returned #body)
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
        let body = in_more_braces(body);
        let mut inside = Group::new(Delimiter::Brace, quote!(#edge #body));
        if let Body::Block { span, .. } = &self.body {
            // See `block`.
            inside.set_span(*span);
        }
        quote!(async move #inside)
    }

    /// The tokens of the body.
    pub(crate) fn statements(&self) -> TokenStream {
        match &self.body {
            Body::Block { statements, .. } => statements.clone(),
            Body::Missing | Body::Copied => TokenStream::new(),
        }
    }

    /// The body as it was written, after `before`, and with a mark where another attribute may look for it.
    pub(crate) fn block(&self, before: &TokenStream) -> TokenStream {
        let Body::Block { span, statements } = &self.body else {
            // `check` has refused it.
            return TokenStream::new();
        };
        let mark = self
            .has_other_attributes()
            .then(|| mark::mark(&self.around, &self.sig));
        let mut block = Group::new(Delimiter::Brace, quote!(#mark #statements));
        // The user's braces: errors are reported there, and what is measured of a body, such as its coverage, is measured only
        // of code that is not a macro's.
        block.set_span(*span);
        if before.is_empty() {
            return block.to_token_stream();
        }
        // In a block of its own, or clippy would want its items to come first.
        let inner = in_more_braces(&block.to_token_stream());
        let mut whole = Group::new(Delimiter::Brace, quote!(#before #inner));
        whole.set_span(block.span());
        whole.to_token_stream()
    }

    /// Whether one of the attributes that are left may be anybody's, such as one of pglock's by a name of the user's own.
    pub(crate) fn has_other_attributes(&self) -> bool {
        /// The compiler's own, which change nothing.
        const INERT: [&str; 9] = [
            "allow",
            "cold",
            "deprecated",
            "deny",
            "doc",
            "expect",
            "inline",
            "must_use",
            "warn",
        ];
        let is_inert = |path: &Path| INERT.iter().any(|inert| path.is_ident(inert));
        !self.item.attrs.iter().all(|other| is_inert(other.path()))
    }
}

/// A block for the end of another one. The braces of a block that may be a single expression get the hygiene of a macro, or
/// the compiler would tell the user that they are unnecessary. Those around statements keep the user's, or lints about
/// blocks would not look into them.
fn in_more_braces(block: &TokenStream) -> TokenStream {
    let is_semicolon =
        |tree: TokenTree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ';');
    let mut trees = block.clone().into_iter();
    match (trees.next(), trees.next()) {
        (Some(TokenTree::Group(mut block)), None)
            if !block.stream().into_iter().any(is_semicolon) =>
        {
            block.set_span(block.span().resolved_at(Span::mixed_site()));
            block.to_token_stream()
        }
        _ => block.clone(),
    }
}

/// Every name that a pattern binds.
pub(crate) fn names_of(pattern: &Pat) -> Vec<&Ident> {
    let bindings = bindings_of(pattern).into_iter();
    bindings.map(|binding| &binding.ident).collect()
}

/// The same, as they are written: with their `ref` and `mut`.
pub(crate) fn bindings_of(pattern: &Pat) -> Vec<&PatIdent> {
    let mut bindings = Vec::new();
    collect_bindings(pattern, &mut bindings);
    bindings
}

fn collect_bindings<'a>(pattern: &'a Pat, bindings: &mut Vec<&'a PatIdent>) {
    let mut collect = |pattern| collect_bindings(pattern, bindings);
    match pattern {
        Pat::Ident(pattern) => {
            bindings.push(pattern);
            if let Some((_, pattern)) = &pattern.subpat {
                collect_bindings(pattern, bindings);
            }
        }
        Pat::Paren(pattern) => collect(&pattern.pat),
        Pat::Reference(pattern) => collect(&pattern.pat),
        Pat::Type(pattern) => collect(&pattern.pat),
        Pat::Slice(pattern) => pattern.elems.iter().for_each(collect),
        Pat::Tuple(pattern) => pattern.elems.iter().for_each(collect),
        Pat::TupleStruct(pattern) => pattern.elems.iter().for_each(collect),
        Pat::Struct(pattern) => pattern.fields.iter().for_each(|field| collect(&field.pat)),
        _ => {}
    }
}

/// The name of a local of generated code. User code cannot see it.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
