//! What `#[pglock::advisory]` becomes.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::{Args, SideEffect};
use crate::args::{Spanned, local};
use crate::client::Client;
use crate::function::Function;
use crate::on_error::OnError;

/// One attribute, about to be put into its function.
pub(super) struct Expansion<'a> {
    args: &'a Args,
    function: &'a Function,
    krate: Path,
}

/// What differs between the connections that a lock can be on.
struct Steps {
    /// Takes the lock: a `Result`.
    enter: TokenStream,
    /// The arm of a `match` on it that runs the body.
    run: TokenStream,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(args: &'a Args, function: &'a Function) -> Self {
        // What asks for a connection stands where the option does: what is no connection is blamed there, and once.
        let span = args
            .client
            .as_ref()
            .map_or_else(Span::call_site, |client| client.value.span());
        Self {
            args,
            function,
            krate: args.krate_at(span),
        }
    }

    // Input:  { work(); Ok(()) }
    // Output: let advisory = ..;
    //         let on_error = ..;
    //         let error = match ::pglock::__rt::enter(advisory) {
    //             Ok(call) => return ::pglock::__rt::run(call, move || -> R { work(); Ok(()) }, ..),
    //             Err(error) => error,
    //         };
    //         if ::pglock::__rt::is_busy(&error) { return {skipped}; }
    //         on_error(error)
    //
    // The match ends before a value is skipped with, so that this value can use the connection.
    pub(super) fn statements(&self, body: &TokenStream) -> TokenStream {
        let (advisory, on_error, error) = (local("advisory"), local("on_error"), local("error"));
        let builder = self.builder();
        let handler = OnError::expand(self.args.on_error(), self.function, &self.krate);
        let is_async = self.function.sig.asyncness.is_some();
        let Steps { enter, run } = match (&self.args.client, is_async) {
            (None, _) => self.own_session(body),
            (Some(client), _) if self.args.is_xact() => self.in_transaction(&client.value, body),
            (Some(client), false) => self.on_client(&client.value, body),
            (Some(client), true) => self.on_client_async(&client.value, body),
        };
        let skip = self.skip();
        quote! {
            let #advisory = #builder;
            let #on_error = #handler;
            let #error = match #enter {
                #run
                ::core::result::Result::Err(#error) => #error,
            };
            #skip
            #on_error(#error)
        }
    }

    // Input:  "invoices", shared, timeout = "2s", side_effect = Skip
    // Output: ::pglock::__rt::skip(
    //             ::pglock::__rt::advisory("invoices").shared().timeout(::core::time::Duration::new(2u64, 0u32)),
    //         )
    fn builder(&self) -> TokenStream {
        let krate = &self.krate;
        let mut builder = match &self.args.lock_id {
            None => self.default_id(),
            Some(Spanned { value, span }) => {
                let id = value.expand();
                quote_spanned!(*span=> #krate::__rt::advisory(#id))
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
        let name = self.function.sig.ident.unraw().to_string();
        quote! {
            {
                static SITE: #krate::__rt::Site = #krate::__rt::Site::new(
                    ::core::concat!(::core::module_path!(), "::", #name),
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
    // Output: ::pglock::__rt::enter(advisory)                       ::pglock::__rt::enter_async(advisory).await
    //         Ok(call) => return ::pglock::__rt::run(               Ok(call) => return ::pglock::__rt::run_async(
    //             call, move || -> R { .. }, failed, on_error),         call, async move { .. }, failed, on_error).await,
    fn own_session(&self, body: &TokenStream) -> Steps {
        let (krate, function) = (&self.krate, self.function);
        let (advisory, on_error, call) = (local("advisory"), local("on_error"), local("call"));
        let failed = OnError::expand_failed(self.args.on_error(), function, krate);
        if function.sig.asyncness.is_some() {
            let body = function.future(body);
            return Steps {
                enter: quote!(#krate::__rt::enter_async(#advisory).await),
                run: quote! {
                    ::core::result::Result::Ok(#call) => {
                        return #krate::__rt::run_async(#call, #body, #failed, #on_error).await;
                    }
                },
            };
        }
        let body = function.closure(body);
        Steps {
            enter: quote!(#krate::__rt::enter(#advisory)),
            run: quote! {
                ::core::result::Result::Ok(#call) => {
                    return #krate::__rt::run(#call, move #body, #failed, #on_error);
                }
            },
        }
    }

    // Input:  client = conn                                         client = self.db
    // Output: ::pglock::__rt::enter_on(advisory, &mut *conn)        ::pglock::__rt::enter_on(advisory, &mut self.db)
    //         Ok(call) => {                                         Ok(call) => {
    //             let out = {                                           let out = ::pglock::__rt::catch(|| -> R { .. });
    //                 let conn = &mut *conn;                            return ::pglock::__rt::leave_on(
    //                 ::pglock::__rt::catch(move || -> R { .. })            call, &mut self.db, out, failed, on_error);
    //             };                                                }
    //             return ::pglock::__rt::leave_on(
    //                 call, &mut *conn, out, failed, on_error);
    //         }
    fn on_client(&self, client: &Client, body: &TokenStream) -> Steps {
        let (krate, function, span) = (&self.krate, self.function, client.span());
        let (advisory, on_error) = (local("advisory"), local("on_error"));
        let (call, out) = (local("call"), local("out"));
        let failed = OnError::expand_failed(self.args.on_error(), function, krate);
        let connection = client.reborrow(function);
        let shadow = client.shadow(function, &connection);
        let body = client.body(&function.closure(body));
        let leave = quote_spanned!(span=> #krate::__rt::leave_on(#call, #connection, #out, #failed, #on_error));
        Steps {
            enter: quote_spanned!(span=> #krate::__rt::enter_on(#advisory, #connection)),
            run: quote! {
                ::core::result::Result::Ok(#call) => {
                    let #out = {
                        #shadow
                        #krate::__rt::catch(#body)
                    };
                    return #leave;
                }
            },
        }
    }

    // Input:  client = conn
    // Output: ::pglock::__rt::enter_on_async(advisory, &mut *conn).await
    //         Ok(mut conn) => {
    //             let out = {
    //                 let conn = ::pglock::__rt::lend(&mut conn);
    //                 ::pglock::__rt::within(async move { .. }).await
    //             };
    //             return ::pglock::__rt::leave_on_async(conn, out, failed, on_error).await;
    //         }
    //
    // The call has the connection's name: of any other it would be said, too, that it is no connection.
    fn on_client_async(&self, client: &Client, body: &TokenStream) -> Steps {
        let (krate, function, span) = (&self.krate, self.function, client.span());
        let (advisory, on_error, out) = (local("advisory"), local("on_error"), local("out"));
        let failed = OnError::expand_failed(self.args.on_error(), function, krate);
        let connection = client.reborrow(function);
        let call = client.name(function);
        let shadow = client.shadow(
            function,
            &quote_spanned!(span=> #krate::__rt::lend(&mut #call)),
        );
        let body = function.future(body);
        let leave = quote_spanned!(span=> #krate::__rt::leave_on_async(#call, #out, #failed, #on_error).await);
        Steps {
            enter: quote_spanned!(span=> #krate::__rt::enter_on_async(#advisory, #connection).await),
            run: quote! {
                ::core::result::Result::Ok(mut #call) => {
                    let #out = {
                        #shadow
                        #krate::__rt::within(#body).await
                    };
                    return #leave;
                }
            },
        }
    }

    // Input:  fn, client = tx, xact                                 async fn, client = tx, xact
    // Output: ::pglock::__rt::enter_xact(advisory, &mut *tx)        ::pglock::__rt::enter_xact_async(advisory, &mut *tx).await
    //         Ok(call) => return ::pglock::__rt::run_xact(          Ok(call) => return ::pglock::__rt::run_xact_async(
    //             call, move || -> R { .. }),                           call, async move { .. }).await,
    fn in_transaction(&self, client: &Client, body: &TokenStream) -> Steps {
        let (krate, function, span) = (&self.krate, self.function, client.span());
        let (advisory, call) = (local("advisory"), local("call"));
        let connection = client.reborrow(function);
        if function.sig.asyncness.is_some() {
            let body = function.future(body);
            return Steps {
                enter: quote_spanned!(span=> #krate::__rt::enter_xact_async(#advisory, #connection).await),
                run: quote! {
                    ::core::result::Result::Ok(#call) => return #krate::__rt::run_xact_async(#call, #body).await,
                },
            };
        }
        let body = client.body(&function.closure(body));
        Steps {
            enter: quote_spanned!(span=> #krate::__rt::enter_xact(#advisory, #connection)),
            run: quote!(::core::result::Result::Ok(#call) => return #krate::__rt::run_xact(#call, #body),),
        }
    }
}
