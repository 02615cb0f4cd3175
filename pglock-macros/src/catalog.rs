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
    /// Such variants, where there are several locks.
    all: Vec<TokenStream>,
    timeout: Option<Duration>,
    side_effect: Option<String>,
    is_shared: bool,
    is_xact: bool,
    once_in: Option<Duration>,
    is_fenced: bool,
    /// A literal.
    prioritize_from: Option<TokenStream>,
    /// A literal.
    permits: Option<TokenStream>,
}

impl AnnotatedSite {
    pub(crate) fn new(attribute: &'static str) -> Self {
        Self {
            attribute,
            id: None,
            all: Vec::new(),
            timeout: None,
            side_effect: None,
            is_shared: false,
            is_xact: false,
            once_in: None,
            is_fenced: false,
            prioritize_from: None,
            permits: None,
        }
    }

    pub(crate) fn id(mut self, id: Option<TokenStream>) -> Self {
        self.id = id;
        self
    }

    pub(crate) fn all(mut self, ids: Vec<TokenStream>) -> Self {
        self.all = ids;
        self
    }

    pub(crate) fn timeout(mut self, timeout: Option<&Spanned<DurationArg>>) -> Self {
        self.timeout = literal(timeout);
        self
    }

    /// When it is due, and whether its holders get tokens.
    pub(crate) fn rules(mut self, once_in: Option<&Spanned<DurationArg>>, is_fenced: bool) -> Self {
        (self.once_in, self.is_fenced) = (literal(once_in), is_fenced);
        self
    }

    /// The try from which on others are ended; none where that is decided at run time.
    pub(crate) fn prioritize_from(mut self, literal: Option<TokenStream>) -> Self {
        self.prioritize_from = literal;
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
        let all = (!self.all.is_empty()).then(|| {
            let ids = &self.all;
            quote!(.all_ids(&[#(#krate::__rt::AnnotatedId::#ids),*]))
        });
        let expanded = |duration: Duration| DurationArg::Literal(duration).expand();
        let timeout = self.timeout.map(expanded).into_iter();
        let timeout = timeout.map(|timeout| quote!(.timeout(#timeout)));
        let once_in = self.once_in.map(expanded).into_iter();
        let once_in = once_in.map(|period| quote!(.once_in(#period)));
        let fenced = self.is_fenced.then(|| quote!(.fenced()));
        let prioritize_from = self.prioritize_from.iter();
        let prioritize_from = prioritize_from.map(|from| quote!(.prioritize_from(#from)));
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
            ) #id #all #(#timeout)* #(#side_effect)* #shared #xact #(#permits)* #(#once_in)* #fenced #(#prioritize_from)*;
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

/// None where it is decided at run time.
fn literal(duration: Option<&Spanned<DurationArg>>) -> Option<Duration> {
    match duration.map(|duration| &duration.value) {
        Some(DurationArg::Literal(duration)) => Some(*duration),
        Some(DurationArg::Expression(_) | DurationArg::Unlimited) | None => None,
    }
}
