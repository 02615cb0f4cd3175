//! What `#[pglock::advisory]` expands to.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;

use super::args::Args;
use super::side_effect::AdvisorySideEffect;
use crate::attributes::named_lock;
use crate::catalog::AnnotatedSite;
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
        let site = self.site();
        let (registration, lock) = named_lock::expand(
            self.args.lock_id.as_ref(),
            &site,
            self.function,
            &self.wrapper.krate,
        );
        let builder = self.builder(lock);
        let statements = self.wrapper.statements(&builder, &steps, self.skipped());
        quote!(#registration #statements)
    }

    fn site(&self) -> AnnotatedSite {
        let side_effect = match self.args.side_effect() {
            AdvisorySideEffect::Raise => None,
            AdvisorySideEffect::Skip(_) | AdvisorySideEffect::SkipWith { .. } => Some("Skip"),
        };
        let lock_id = self.args.lock_id.as_ref();
        let all = lock_id.map(|lock_id| lock_id.value.annotated_all());
        AnnotatedSite::new(self.args.attribute())
            .permits(self.args.permits.as_ref())
            .id(named_lock::annotated(self.args.lock_id.as_ref()))
            .all(all.unwrap_or_default())
            .rules(self.args.once_in.as_ref(), self.args.fenced().is_some())
            .timeout(self.args.timeout.as_ref())
            .side_effect(side_effect.map(str::to_owned))
            .scope(self.args.is_shared(), self.args.is_xact())
    }

    /// The lock with its options.
    // Expansion: expansions/options.rs
    fn builder(&self, lock: TokenStream) -> TokenStream {
        let krate = &self.wrapper.krate;
        let mut builder = match &self.args.permits {
            Some(permits) => {
                quote_spanned!(permits.span()=> #krate::__rt::limit_by(#lock, #permits))
            }
            None => lock,
        };
        if self.args.is_shared() {
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
        if let Some(Spanned { value, .. }) = &self.args.once_in {
            let period = value.expand();
            builder = quote!(#builder.once_in(#period));
        }
        if self.args.fenced().is_some() {
            builder = quote!(#builder.fenced());
        }
        builder = self.args.hold_limits.expand(builder);
        match self.args.side_effect() {
            AdvisorySideEffect::Raise => builder,
            AdvisorySideEffect::Skip(_) | AdvisorySideEffect::SkipWith { .. } => {
                quote!(#krate::__rt::skip(#builder))
            }
        }
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
