//! What `#[pglock::advisory]` becomes.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::spanned::Spanned as _;

use super::{Args, SideEffect};
use crate::function::Function;
use crate::options::client::Client;
use crate::options::on_error::OnError;
use crate::options::parse::{Spanned, local};
use crate::wrap::{EnterAndRun, Wrapper};

/// One attribute, about to be put into its function.
pub(super) struct Expansion<'a> {
    args: &'a Args,
    function: &'a Function,
    krate: Path,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(args: &'a Args, function: &'a Function) -> Self {
        // What asks for a connection stands where the option does: what is no connection is blamed there, and once.
        let span = args
            .shared_options
            .client
            .as_ref()
            .map_or_else(Span::call_site, |client| client.value.span());
        Self {
            args,
            function,
            krate: args.shared_options.krate_at(span),
        }
    }

    // Input:  { work(); Ok(()) }
    // Output: let builder = ..;
    //         let on_error = ..;
    //         let error = match ::pglock::__rt::enter(builder) {
    //             Ok(call) => return ::pglock::__rt::run(call, move || -> R { work(); Ok(()) }, ..),
    //             Err(error) => error,
    //         };
    //         if ::pglock::__rt::is_busy(&error) { return {skipped}; }
    //         on_error(error)
    //
    // The match ends before a value is skipped with, so that this value can use the connection.
    pub(super) fn statements(&self, body: &TokenStream) -> TokenStream {
        let is_async = self.function.sig.asyncness.is_some();
        let steps = match (&self.args.shared_options.client, is_async) {
            (None, _) => self.own_session(body),
            (Some(client), _) if self.args.is_xact() => self.in_transaction(&client.value, body),
            (Some(client), _) => self
                .wrapper()
                .on_client("enter_advisory_on", &client.value, body),
        };
        self.wrapper()
            .statements(&self.builder(), &steps, &self.skip())
    }

    fn wrapper(&self) -> Wrapper<'_> {
        Wrapper {
            krate: &self.krate,
            function: self.function,
            on_error: self.args.shared_options.on_error(),
        }
    }

    // Input:  "invoices", shared, timeout = "2s", side_effect = Skip
    // Output: ::pglock::__rt::skip(
    //             ::pglock::__rt::advisory("invoices").label("invoices").shared()
    //                 .timeout(::core::time::Duration::new(2u64, 0u32)),
    //         )
    fn builder(&self) -> TokenStream {
        let krate = &self.krate;
        let mut builder = match &self.args.lock_id {
            None => self.default_id(),
            Some(Spanned { value, span }) => {
                let (id, label) = (value.expand(), value.expand_label(self.function));
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
        if let Some(Spanned { value, .. }) = &self.args.using {
            builder = quote!(#builder.using(#value));
        }
        if let Some(Spanned { value, .. }) = &self.args.timeout {
            let limit = value.expand();
            builder = quote!(#builder.timeout(#limit));
        }
        builder = self.args.hold_limits.expand(builder);
        match self.args.side_effect() {
            SideEffect::Raise => builder,
            SideEffect::Skip(_) | SideEffect::SkipWith { .. } => {
                quote!(#krate::__rt::skip(#builder))
            }
        }
    }

    // Input:  fn report()
    // Output: {
    //             static SITE: ::pglock::__rt::Site = ..;
    //             ::pglock::__rt::inventory::submit! { ::pglock::__rt::Registered(&SITE) }
    //             ::pglock::__rt::advisory_at(&SITE)
    //         }
    fn default_id(&self) -> TokenStream {
        let krate = &self.krate;
        let path = self.function.path();
        quote! {
            {
                static SITE: #krate::__rt::Site = #krate::__rt::Site::new(
                    #path,
                    ::core::file!(),
                    ::core::line!(),
                    ::core::column!(),
                );
                #krate::__rt::inventory::submit! { #krate::__rt::Registered(&SITE) }
                #krate::__rt::advisory_at(&SITE)
            }
        }
    }

    // Input:  side_effect = Skip                                        side_effect = Skip(value)
    // Output: if ::pglock::__rt::is_busy(&error) {                      if ::pglock::__rt::is_busy(&error) {
    //             return <R as ::pglock::__rt::Skippable>::skipped();       return value;
    //         }                                                         }
    fn skip(&self) -> TokenStream {
        let krate = &self.krate;
        let error = local("error");
        let skipped = match self.args.side_effect() {
            SideEffect::Raise => return TokenStream::new(),
            SideEffect::Skip(_) => {
                let returned = self.function.returned();
                quote_spanned!(returned.span()=> <#returned as #krate::__rt::Skippable>::skipped())
            }
            SideEffect::SkipWith { value, .. } => quote!(#value),
        };
        quote! {
            if #krate::__rt::is_busy(&#error) {
                return #skipped;
            }
        }
    }

    // Input:  fn                                                    async fn
    // Output: ::pglock::__rt::enter(builder)                       ::pglock::__rt::enter_async(builder).await
    //         Ok(call) => return ::pglock::__rt::run(               Ok(call) => return ::pglock::__rt::run_async(
    //             call, move || -> R { .. }, failed, on_error),         call, async move { .. }, failed, on_error).await,
    fn own_session(&self, body: &TokenStream) -> EnterAndRun {
        let (krate, function) = (&self.krate, self.function);
        let (builder, on_error, call) = (local("builder"), local("on_error"), local("call"));
        let failed = OnError::expand_failed(self.args.shared_options.on_error(), function, krate);
        if function.sig.asyncness.is_some() {
            let body = function.future(body);
            return EnterAndRun {
                enter: quote!(#krate::__rt::enter_async(#builder).await),
                run: quote! {
                    ::core::result::Result::Ok(#call) => {
                        return #krate::__rt::run_async(#call, #body, #failed, #on_error).await;
                    }
                },
            };
        }
        let body = function.closure(body);
        EnterAndRun {
            enter: quote!(#krate::__rt::enter(#builder)),
            run: quote! {
                ::core::result::Result::Ok(#call) => {
                    return #krate::__rt::run(#call, move #body, #failed, #on_error);
                }
            },
        }
    }

    // Input:  fn, client = tx, xact                                 async fn, client = tx, xact
    // Output: ::pglock::__rt::enter_xact(builder, &mut *tx)         ::pglock::__rt::enter_xact_async(builder, &mut *tx).await
    //         Ok(()) => return ::pglock::__rt::run_xact(            Ok(()) => return ::pglock::__rt::run_xact_async(
    //             move || -> R { .. }),                                 async move { .. }).await,
    fn in_transaction(&self, client: &Client, body: &TokenStream) -> EnterAndRun {
        let (krate, function, span) = (&self.krate, self.function, client.span());
        let builder = local("builder");
        let connection = client.reborrow(function);
        if function.sig.asyncness.is_some() {
            let body = function.future(body);
            return EnterAndRun {
                enter: quote_spanned!(span=> #krate::__rt::enter_xact_async(#builder, #connection).await),
                run: quote! {
                    ::core::result::Result::Ok(()) => return #krate::__rt::run_xact_async(#body).await,
                },
            };
        }
        let body = client.body(&function.closure(body));
        EnterAndRun {
            enter: quote_spanned!(span=> #krate::__rt::enter_xact(#builder, #connection)),
            run: quote!(::core::result::Result::Ok(()) => return #krate::__rt::run_xact(#body),),
        }
    }
}
