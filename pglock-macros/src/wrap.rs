//! The code that an attribute puts around a body: enter, run, leave, and handle an error.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use crate::catalog::AnnotatedSite;
use crate::function::{Function, local};
use crate::options::client::Client;
use crate::options::on_error::OnError;
use crate::options::shared::SharedOptions;

/// What one attribute puts around the body of `function`.
pub(crate) struct Wrapper<'a> {
    pub(crate) krate: Path,
    function: &'a Function,
    on_error: Option<&'a OnError>,
}

/// The part of the code that depends on where the attribute works.
pub(crate) struct EnterAndRun {
    /// Calls the runtime before the body: a `Result`.
    enter: TokenStream,
    /// The arm of a `match` on that result which runs the body.
    run: TokenStream,
}

impl<'a> Wrapper<'a> {
    /// The path of pglock has the span of `client`, so that a type that is not a connection is reported there, and once.
    pub(crate) fn new(
        options: &'a SharedOptions,
        function: &'a Function,
        client: Option<&Client>,
    ) -> Self {
        Self {
            krate: options.krate_at(client.map_or_else(Span::call_site, Client::span)),
            function,
            on_error: options.on_error(),
        }
    }

    /// The whole of what surrounds the body; `request` is the builder, `skipped` what is returned when the lock is busy, if
    /// that is not an error.
    ///
    /// `skipped` comes after the match, whose borrow of the connection has ended there: it can use the connection. It is in
    /// no `return`, which nothing would reach if it diverges.
    // Expansion: expansions/skip.rs
    pub(crate) fn statements(
        &self,
        request: &TokenStream,
        steps: &EnterAndRun,
        skipped: Option<TokenStream>,
    ) -> TokenStream {
        let (builder, on_error, error) = (local("builder"), local("on_error"), local("error"));
        let handler = OnError::expand(self.on_error, self.function, &self.krate);
        let EnterAndRun { enter, run } = steps;
        let krate = &self.krate;
        let failed = quote!(#on_error(#error));
        let not_run = match skipped {
            Some(skipped) => {
                quote!(if #krate::__rt::is_busy(&#error) { #skipped } else { #failed })
            }
            None => failed,
        };
        quote! {
            let #builder = #request;
            let #on_error = #handler;
            let #error = match #enter {
                #run
                ::core::result::Result::Err(#error) => #error,
            };
            #not_run
        }
    }

    /// On a session of pglock's own.
    // Expansion: expansions/options.rs, expansions/async_fn.rs
    pub(crate) fn own_session(&self, body: &TokenStream) -> EnterAndRun {
        let (krate, function) = (&self.krate, self.function);
        let (builder, on_error, call) = (local("builder"), local("on_error"), local("call"));
        let failed = self.failed();
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
                    return #krate::__rt::run(#call, #body, #failed, #on_error);
                }
            },
        }
    }

    /// On a connection of the caller's. `enter` is the runtime's function, without the `_async` of its twin.
    pub(crate) fn on_client(
        &self,
        enter: &str,
        client: &Client,
        body: &TokenStream,
    ) -> EnterAndRun {
        if self.function.sig.asyncness.is_some() {
            self.on_async_client(enter, client, body)
        } else {
            self.on_blocking_client(enter, client, body)
        }
    }

    // Expansion: expansions/client.rs, expansions/client_place.rs
    fn on_blocking_client(&self, enter: &str, client: &Client, body: &TokenStream) -> EnterAndRun {
        let (krate, function, span) = (&self.krate, self.function, client.span());
        let (builder, on_error) = (local("builder"), local("on_error"));
        let (call, context, out) = (local("call"), local("context"), local("out"));
        let enter = Ident::new(enter, span);
        let failed = self.failed();
        let connection = client.reborrow(function);
        let shadow = client.shadow(function, &client.lent(function));
        let body = function.closure(body);
        let leave = quote_spanned!(span=> #krate::__rt::leave_on(#call, #connection, #out, #failed, #on_error));
        EnterAndRun {
            enter: quote_spanned!(span=> #krate::__rt::#enter(#builder, #connection)),
            run: quote! {
                ::core::result::Result::Ok((#call, #context)) => {
                    let #out = {
                        #shadow
                        #krate::__rt::run_catching(#context, #body)
                    };
                    return #leave;
                }
            },
        }
    }

    /// The variable for the call has the connection's name: with any other, the compiler would report a second time that the
    /// argument is not a connection.
    // Expansion: expansions/client_async.rs
    fn on_async_client(&self, enter: &str, client: &Client, body: &TokenStream) -> EnterAndRun {
        let (krate, function, span) = (&self.krate, self.function, client.span());
        let (builder, on_error) = (local("builder"), local("on_error"));
        let (context, out) = (local("context"), local("out"));
        let enter = Ident::new(&format!("{enter}_async"), span);
        let failed = self.failed();
        let connection = client.reborrow(function);
        let call = client.name(function);
        let lent = quote_spanned!(span=> #krate::__rt::lend(&mut #call));
        let shadow = client.shadow(function, &lent);
        let body = function.future(body);
        let leave = quote_spanned!(span=> #krate::__rt::leave_on_async(#call, #out, #failed, #on_error).await);
        EnterAndRun {
            enter: quote_spanned!(span=> #krate::__rt::#enter(#builder, #connection).await),
            run: quote! {
                ::core::result::Result::Ok((mut #call, #context)) => {
                    let #out = {
                        #shadow
                        #krate::__rt::run_async_in(#context, #body).await
                    };
                    return #leave;
                }
            },
        }
    }

    /// In a transaction of the caller's, whose end releases the lock.
    // Expansion: expansions/xact.rs, expansions/xact_async.rs
    pub(crate) fn in_transaction(&self, client: &Client, body: &TokenStream) -> EnterAndRun {
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
        let body = function.closure(body);
        EnterAndRun {
            enter: quote_spanned!(span=> #krate::__rt::enter_xact(#builder, #connection)),
            run: quote!(::core::result::Result::Ok(()) => return #krate::__rt::run_xact(#body),),
        }
    }

    fn failed(&self) -> TokenStream {
        OnError::expand_failed(self.on_error, self.function, &self.krate)
    }
}

/// The statements of an attribute that works only on a connection of the caller's: `timeout`, `prioritize`.
/// `validate_on_client` has succeeded before.
// Expansion: expansions/timeout.rs, expansions/prioritize.rs
pub(crate) fn on_client(
    enter: &str,
    options: &SharedOptions,
    function: &Function,
    body: &TokenStream,
    site: &AnnotatedSite,
    request: impl FnOnce(&Path) -> TokenStream,
) -> TokenStream {
    let Ok(client) = options.named_or_only(function) else {
        // `validate_on_client` has reported why.
        return body.clone();
    };
    let wrapper = Wrapper::new(options, function, Some(&client));
    let steps = wrapper.on_client(enter, &client, body);
    let registration = site.hidden_registration(function, &wrapper.krate);
    let statements = wrapper.statements(&request(&wrapper.krate), &steps, None);
    quote!(#registration #statements)
}
