//! What the catalog of a program says of an attribute: a static that the linker puts into a list.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Expr, Path};

use crate::function::Function;
use crate::options::duration::DurationArg;
use crate::options::parse::Spanned;

/// An attribute on a function, with what is known of it at compile time.
pub(crate) struct AnnotatedSite {
    attribute: &'static str,
    /// A variant of the runtime's `AnnotatedId`; none: no lock, or one that is chosen at run time.
    id: Option<TokenStream>,
    timeout: Option<Duration>,
    side_effect: Option<String>,
    is_shared: bool,
    is_xact: bool,
    /// A literal.
    permits: Option<TokenStream>,
}

impl AnnotatedSite {
    pub(crate) fn new(attribute: &'static str) -> Self {
        Self {
            attribute,
            id: None,
            timeout: None,
            side_effect: None,
            is_shared: false,
            is_xact: false,
            permits: None,
        }
    }

    pub(crate) fn id(mut self, id: Option<TokenStream>) -> Self {
        self.id = id;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Option<&Spanned<DurationArg>>) -> Self {
        self.timeout = match timeout.map(|timeout| &timeout.value) {
            Some(DurationArg::Literal(timeout)) => Some(*timeout),
            Some(DurationArg::Expression(_) | DurationArg::Unlimited) | None => None,
        };
        self
    }

    pub(crate) fn side_effect(mut self, word: Option<String>) -> Self {
        self.side_effect = word;
        self
    }

    pub(crate) fn permits(mut self, permits: Option<&Expr>) -> Self {
        let literal = permits.filter(|permits| matches!(permits, Expr::Lit(_)));
        self.permits = literal.map(ToTokens::to_token_stream);
        self
    }

    pub(crate) fn scope(mut self, is_shared: bool, is_xact: bool) -> Self {
        (self.is_shared, self.is_xact) = (is_shared, is_xact);
        self
    }

    /// The static `SITE`, and what puts it into the list.
    // Expansion: expansions/default_id.rs
    pub(crate) fn registration(&self, function: &Function, krate: &Path) -> TokenStream {
        let (attribute, path) = (self.attribute, function.path());
        let id = self
            .id
            .as_ref()
            .map(|id| quote!(.id(#krate::__rt::AnnotatedId::#id)));
        let timeout = self.timeout.map(|timeout| {
            let timeout = DurationArg::Literal(timeout).expand();
            quote!(.timeout(#timeout))
        });
        let side_effect = self
            .side_effect
            .iter()
            .map(|word| quote!(.side_effect(#word)));
        let shared = self.is_shared.then(|| quote!(.shared()));
        let xact = self.is_xact.then(|| quote!(.xact()));
        let permits = self.permits.iter().map(|count| quote!(.permits(#count)));
        quote! {
            static SITE: #krate::__rt::AnnotatedFn = #krate::__rt::AnnotatedFn::new(
                #attribute,
                #path,
                ::core::file!(),
                ::core::line!(),
                ::core::column!(),
            ) #id #timeout #(#side_effect)* #shared #xact #(#permits)*;
            #krate::__rt::inventory::submit! { #krate::__rt::Registration(&SITE) }
        }
    }

    /// The same where nothing else needs the static: no name of it is seen by what users have written.
    // Expansion: expansions/options.rs
    pub(crate) fn hidden_registration(&self, function: &Function, krate: &Path) -> TokenStream {
        let registration = self.registration(function, krate);
        quote!(const _: () = { #registration };)
    }
}
