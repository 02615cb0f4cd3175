//! The `on_error` option: how an error of pglock's becomes the function's return value.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Path, Result, ReturnType};

use crate::function::{Function, local};
use crate::options::parse;
use crate::types;

pub(crate) enum OnError {
    Panic,
    Handler(Expr),
}

impl OnError {
    pub(crate) fn new(value: Expr) -> Result<Self> {
        if parse::text(&value).is_some() {
            return Err(Error::new_spanned(
                value,
                "`on_error` is not a string: write `on_error = Panic`, without quotes, or `on_error = |error| ..`",
            ));
        }
        if let Expr::Macro(call) = parse::ungroup(&value)
            && call
                .mac
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == "panic")
        {
            return Err(Error::new_spanned(
                value,
                "`on_error` takes what is called with the error: write `on_error = Panic`, which panics with its text, or `on_error = |error| panic!(\"{error}\")`",
            ));
        }
        match parse::word(&value).map(ToString::to_string).as_deref() {
            Some("Panic") => Ok(Self::Panic),
            Some("panic") => Err(Error::new_spanned(&value, "write `on_error = Panic`")),
            Some(word @ ("Raise" | "Skip" | "Return")) => Err(Error::new_spanned(
                &value,
                format!(
                    "`{word}` is not a value of `on_error`: write `Panic` or `|error| ..`; use `side_effect` to choose between waiting and skipping"
                ),
            )),
            _ => Ok(Self::Handler(value)),
        }
    }

    /// What is written in it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Panic => String::new(),
            Self::Handler(value) => value.to_token_stream().to_string(),
        }
    }

    /// Refuses a function that returns nothing and has no `on_error`, so that it could not report an error, and one with an
    /// `on_error` whose return type may be a `Result` without saying so.
    pub(crate) fn validate(on_error: Option<&Self>, function: &Function) -> Result<()> {
        if on_error.is_some() {
            return Self::validate_returned(function);
        }
        if !function.returns_nothing() {
            return Ok(());
        }
        let name = &function.sig.ident;
        Err(Error::new(
            name.span(),
            format!(
                "`{name}` cannot return pglock's errors: return a `Result<(), E>` with `E: From<pglock::Error>`, or add `on_error = Panic` or `on_error = |error| ..`"
            ),
        ))
    }

    fn validate_returned(function: &Function) -> Result<()> {
        let ReturnType::Type(_, returned) = &function.sig.output else {
            return Ok(());
        };
        let mut parameters = function.sig.generics.type_params();
        match types::begins_with(returned) {
            Some(name) if parameters.any(|parameter| parameter.ident == *name) => {
                let written = parse::source(returned);
                Err(Error::new_spanned(
                    returned,
                    format!(
                        "`{written}` may be a `Result`, whose `Err` would be lost to `on_error` where the lock is lost, too: return a `Result<{written}, E>`, or another type that is known here"
                    ),
                ))
            }
            _ => Ok(()),
        }
    }

    /// The function that turns an error of pglock's into the return value.
    ///
    /// It is cast to a function pointer, or is a closure, so that a return type or a handler that does not fit is one
    /// error of the compiler, here: without that, each later use of the value would be reported too.
    // Expansion: expansions/client.rs (no `on_error`), expansions/skip_value_on_error.rs (`Panic`),
    // expansions/on_error.rs (a closure), expansions/opaque_type.rs (a function)
    pub(crate) fn expand(
        on_error: Option<&Self>,
        function: &Function,
        krate: &Path,
    ) -> TokenStream {
        let returned = function.returned();
        match on_error {
            None => {
                let from_error = quote_spanned!(returned.span()=> <#returned as #krate::__rt::FromError>::from_error);
                quote!(#from_error as fn(_) -> _)
            }
            // A closure, so that the panic is said to be at the attribute.
            Some(Self::Panic) => {
                let error = local("error");
                quote!(|#error| #krate::__rt::panic::<#returned>(#error))
            }
            Some(Self::Handler(value)) => {
                let handler = match parse::ungroup(value) {
                    Expr::Path(path) => {
                        let span = Span::mixed_site().located_at(value.span());
                        quote_spanned!(span=> move |error| #path(error))
                    }
                    other => quote!(#other),
                };
                quote!(#krate::__rt::on_error::<#returned, _>(#handler))
            }
        }
    }

    /// The function that says whether the body returned an `Err`.
    ///
    /// With `on_error` the return type can be anything. Then method look-up decides, when the generated code is compiled:
    /// `IsErr` is found for a `Result`, and `NeverErr` for every other type.
    // Expansion: expansions/client.rs (no `on_error`), expansions/on_error.rs
    pub(crate) fn expand_failed(
        on_error: Option<&Self>,
        function: &Function,
        krate: &Path,
    ) -> TokenStream {
        let returned = function.returned();
        if on_error.is_none() {
            let failed =
                quote_spanned!(returned.span()=> <#returned as #krate::__rt::FromError>::failed);
            return quote!(#failed as fn(&_) -> _);
        }
        let out = local("out");
        quote! {
            |#out: &#returned| {
                use #krate::__rt::{NeverErr as _, IsErr as _};
                (&#krate::__rt::Probe(#out)).failed()
            }
        }
    }
}
