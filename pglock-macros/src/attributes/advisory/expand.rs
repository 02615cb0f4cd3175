//! What `#[pglock::advisory]` expands to.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::args::Args;
use super::side_effect::AdvisorySideEffect;
use crate::catalog::CatalogEntry;
use crate::function::Function;
use crate::options::parse::Spanned;
use crate::wrap::Wrapper;

/// One attribute, about to be put around the body of its function.
pub(super) struct Expansion<'a> {
    args: &'a Args,
    function: &'a Function,
    wrapper: Wrapper<'a>,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(args: &'a Args, function: &'a Function) -> Self {
        let wrapper = Wrapper::new(&args.shared_options, function, args.client());
        Self {
            args,
            function,
            wrapper,
        }
    }

    /// The body of the function that is emitted.
    // Expansion: expansions/skip.rs
    pub(super) fn statements(&self, body: &TokenStream) -> TokenStream {
        let steps = match self.args.client() {
            None => self.wrapper.own_session(body),
            Some(client) if self.args.is_xact() => self.wrapper.in_transaction(client, body),
            Some(client) => self.wrapper.on_client("enter_advisory_on", client, body),
        };
        let statements = self
            .wrapper
            .statements(&self.builder(), &steps, self.skipped());
        // With a default ID, the lock is made of the site itself.
        let site = self
            .args
            .lock_id
            .as_ref()
            .map(|_| self.entry().hidden_site(self.function, &self.wrapper.krate));
        quote!(#site #statements)
    }

    fn entry(&self) -> CatalogEntry {
        let id = match &self.args.lock_id {
            None => Some(quote!(Function)),
            Some(id) => id.value.annotated(),
        };
        let side_effect = match self.args.side_effect() {
            AdvisorySideEffect::Raise => None,
            AdvisorySideEffect::Skip(_) | AdvisorySideEffect::SkipWith { .. } => Some("Skip"),
        };
        let is_shared = self.args.shared.as_ref().is_some_and(|shared| shared.value);
        CatalogEntry::new("advisory")
            .id(id)
            .timeout(self.args.timeout.as_ref())
            .side_effect(side_effect.map(str::to_owned))
            .scope(is_shared, self.args.is_xact())
    }

    /// The lock with its options.
    // Expansion: expansions/options.rs
    fn builder(&self) -> TokenStream {
        let krate = &self.wrapper.krate;
        let mut builder = match &self.args.lock_id {
            None => self.default_id(),
            Some(Spanned { value, span }) => {
                let id = value.expand(self.function, krate);
                let label = value.expand_label(self.function);
                let advisory = quote_spanned!(*span=> #krate::__rt::advisory(#id));
                quote!(#advisory.label(#label))
            }
        };
        if self.args.shared.as_ref().is_some_and(|shared| shared.value) {
            builder = quote!(#builder.shared());
        }
        if self.args.is_xact() {
            builder = quote!(#builder.xact());
        }
        if self.args.dedicated().is_some() {
            builder = quote!(#builder.dedicated());
        }
        if self.args.not_reentrant().is_some() {
            builder = quote!(#builder.reentrant(false));
        }
        if let Some(Spanned { value, .. }) = &self.args.using {
            builder = quote!(#builder.using(#value));
        }
        if let Some(Spanned { value, .. }) = &self.args.timeout {
            let limit = value.expand();
            builder = quote!(#builder.timeout(#limit));
        }
        builder = self.args.hold_limits.expand(builder);
        match self.args.side_effect() {
            AdvisorySideEffect::Raise => builder,
            AdvisorySideEffect::Skip(_) | AdvisorySideEffect::SkipWith { .. } => {
                quote!(#krate::__rt::skip(#builder))
            }
        }
    }

    /// A lock that is named after its function, which registers itself, so that another one of the same name is found.
    // Expansion: expansions/default_id.rs
    fn default_id(&self) -> TokenStream {
        let krate = &self.wrapper.krate;
        let site = self.entry().site(self.function, krate);
        quote!({ #site #krate::__rt::advisory_at(&SITE) })
    }

    /// What is returned when the lock is busy, with `Skip`.
    // Expansion: expansions/skip.rs, expansions/skip_value_on_error.rs
    fn skipped(&self) -> Option<TokenStream> {
        let krate = &self.wrapper.krate;
        match self.args.side_effect() {
            AdvisorySideEffect::Raise => None,
            AdvisorySideEffect::Skip(_) => {
                let returned = self.function.returned();
                Some(
                    quote_spanned!(returned.span()=> <#returned as #krate::__rt::Skippable>::skipped()),
                )
            }
            AdvisorySideEffect::SkipWith { value, .. } => Some(quote!(#value)),
        }
    }
}
