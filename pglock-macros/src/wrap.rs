//! What all attributes put around a body: enter, run, leave, and what to do with an error.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use crate::function::Function;
use crate::options::client::Client;
use crate::options::on_error::OnError;
use crate::options::parse::local;

/// One attribute's frame around the body of `function`.
pub(crate) struct Frame<'a> {
    pub(crate) krate: &'a Path,
    pub(crate) function: &'a Function,
    pub(crate) on_error: Option<&'a OnError>,
}

/// What differs between attributes, and between the connections that they work on.
pub(crate) struct Steps {
    /// Takes what the attribute is about: a `Result`.
    pub(crate) enter: TokenStream,
    /// The arm of a `match` on it that runs the body.
    pub(crate) run: TokenStream,
}

/// The functions of the runtime that an attribute calls for a connection of the caller's; in an `async fn`, `enter`
/// and `leave` are those that end in `_async`.
pub(crate) struct OnClient {
    /// The local that has the builder.
    pub(crate) request: &'static str,
    pub(crate) enter: &'static str,
    pub(crate) leave: &'static str,
}

impl Frame<'_> {
    // Input:  advisory, {builder}
    // Output: let advisory = {builder};
    //         let on_error = ..;
    //         let error = match {enter} {
    //             {run}
    //             Err(error) => error,
    //         };
    //         {skip}
    //         on_error(error)
    //
    // The match ends before a value is skipped with, so that this value can use the connection.
    pub(crate) fn statements(
        &self,
        request: &str,
        builder: &TokenStream,
        steps: &Steps,
        skip: &TokenStream,
    ) -> TokenStream {
        let (request, on_error, error) = (local(request), local("on_error"), local("error"));
        let handler = OnError::expand(self.on_error, self.function, self.krate);
        let Steps { enter, run } = steps;
        quote! {
            let #request = #builder;
            let #on_error = #handler;
            let #error = match #enter {
                #run
                ::core::result::Result::Err(#error) => #error,
            };
            #skip
            #on_error(#error)
        }
    }

    /// The steps on a connection of the caller's.
    pub(crate) fn on_client(&self, calls: &OnClient, client: &Client, body: &TokenStream) -> Steps {
        if self.function.sig.asyncness.is_some() {
            self.on_async_client(calls, client, body)
        } else {
            self.on_blocking_client(calls, client, body)
        }
    }

    // Input:  client = conn                                         client = self.db
    // Output: ::pglock::__rt::enter_on(advisory, &mut *conn)        ::pglock::__rt::enter_on(advisory, &mut self.db)
    //         Ok((call, place)) => {                                Ok((call, place)) => {
    //             let out = {                                           let out = ::pglock::__rt::catch(place, || -> R { .. });
    //                 let conn = &mut *conn;                            return ::pglock::__rt::leave_on(
    //                 ::pglock::__rt::catch(                                call, &mut self.db, out, failed, on_error);
    //                     place, move || -> R { .. })               }
    //             };
    //             return ::pglock::__rt::leave_on(
    //                 call, &mut *conn, out, failed, on_error);
    //         }
    fn on_blocking_client(&self, calls: &OnClient, client: &Client, body: &TokenStream) -> Steps {
        let (krate, function, span) = (self.krate, self.function, client.span());
        let (request, on_error) = (local(calls.request), local("on_error"));
        let (call, place, out) = (local("call"), local("place"), local("out"));
        let (enter, leave) = (named(calls.enter, span), named(calls.leave, span));
        let failed = OnError::expand_failed(self.on_error, function, krate);
        let connection = client.reborrow(function);
        let shadow = client.shadow(function, &connection);
        let body = client.body(&function.closure(body));
        let leave = quote_spanned!(span=> #krate::__rt::#leave(#call, #connection, #out, #failed, #on_error));
        Steps {
            enter: quote_spanned!(span=> #krate::__rt::#enter(#request, #connection)),
            run: quote! {
                ::core::result::Result::Ok((#call, #place)) => {
                    let #out = {
                        #shadow
                        #krate::__rt::catch(#place, #body)
                    };
                    return #leave;
                }
            },
        }
    }

    // Input:  client = conn
    // Output: ::pglock::__rt::enter_on_async(advisory, &mut *conn).await
    //         Ok((mut conn, place)) => {
    //             let out = {
    //                 let conn = ::pglock::__rt::lend(&mut conn);
    //                 ::pglock::__rt::within(place, async move { .. }).await
    //             };
    //             return ::pglock::__rt::leave_on_async(conn, out, failed, on_error).await;
    //         }
    //
    // The call has the connection's name: of any other it would be said, too, that it is no connection.
    fn on_async_client(&self, calls: &OnClient, client: &Client, body: &TokenStream) -> Steps {
        let (krate, function, span) = (self.krate, self.function, client.span());
        let (request, on_error) = (local(calls.request), local("on_error"));
        let (place, out) = (local("place"), local("out"));
        let (enter, leave) = (
            named(&format!("{}_async", calls.enter), span),
            named(&format!("{}_async", calls.leave), span),
        );
        let failed = OnError::expand_failed(self.on_error, function, krate);
        let connection = client.reborrow(function);
        let call = client.name(function);
        let shadow = client.shadow(
            function,
            &quote_spanned!(span=> #krate::__rt::lend(&mut #call)),
        );
        let body = function.future(body);
        let leave =
            quote_spanned!(span=> #krate::__rt::#leave(#call, #out, #failed, #on_error).await);
        Steps {
            enter: quote_spanned!(span=> #krate::__rt::#enter(#request, #connection).await),
            run: quote! {
                ::core::result::Result::Ok((mut #call, #place)) => {
                    let #out = {
                        #shadow
                        #krate::__rt::within(#place, #body).await
                    };
                    return #leave;
                }
            },
        }
    }
}

fn named(function: &str, span: Span) -> Ident {
    Ident::new(function, span)
}
