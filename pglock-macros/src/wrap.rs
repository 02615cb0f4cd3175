//! What all attributes put around a body: enter, run, leave, and what to do with an error.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::Path;

use crate::function::Function;
use crate::options::client::Client;
use crate::options::on_error::OnError;
use crate::options::parse::local;

/// One attribute's wrapper around the body of `function`.
pub(crate) struct Wrapper<'a> {
    pub(crate) krate: &'a Path,
    pub(crate) function: &'a Function,
    pub(crate) on_error: Option<&'a OnError>,
}

/// What differs between attributes, and between the connections that they work on.
pub(crate) struct EnterAndRun {
    /// Takes what the attribute is about: a `Result`.
    pub(crate) enter: TokenStream,
    /// The arm of a `match` on it that runs the body.
    pub(crate) run: TokenStream,
}

impl Wrapper<'_> {
    // Input:  {request}
    // Output: let builder = {request};
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
        request: &TokenStream,
        steps: &EnterAndRun,
        skip: &TokenStream,
    ) -> TokenStream {
        let (builder, on_error, error) = (local("builder"), local("on_error"), local("error"));
        let handler = OnError::expand(self.on_error, self.function, self.krate);
        let EnterAndRun { enter, run } = steps;
        quote! {
            let #builder = #request;
            let #on_error = #handler;
            let #error = match #enter {
                #run
                ::core::result::Result::Err(#error) => #error,
            };
            #skip
            #on_error(#error)
        }
    }

    /// The steps on a connection of the caller's. `enter` is the runtime's function, without the `_async` of its twin.
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

    // Input:  client = conn                                         client = self.db
    // Output: ::pglock::__rt::enter_advisory_on(builder, &mut *conn)        ::pglock::__rt::enter_advisory_on(builder, &mut self.db)
    //         Ok((call, context)) => {                                Ok((call, context)) => {
    //             let out = {                                           let out = ::pglock::__rt::run_catching(context, || -> R { .. });
    //                 let conn = &mut *conn;                            return ::pglock::__rt::leave_on(
    //                 ::pglock::__rt::run_catching(                                call, &mut self.db, out, failed, on_error);
    //                     context, move || -> R { .. })               }
    //             };
    //             return ::pglock::__rt::leave_on(
    //                 call, &mut *conn, out, failed, on_error);
    //         }
    fn on_blocking_client(&self, enter: &str, client: &Client, body: &TokenStream) -> EnterAndRun {
        let (krate, function, span) = (self.krate, self.function, client.span());
        let (builder, on_error) = (local("builder"), local("on_error"));
        let enter = Ident::new(enter, span);
        let (call, context, out) = (local("call"), local("context"), local("out"));
        let failed = OnError::expand_failed(self.on_error, function, krate);
        let connection = client.reborrow(function);
        let shadow = client.shadow(function, &connection);
        let body = client.body(&function.closure(body));
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

    // Input:  client = conn
    // Output: ::pglock::__rt::enter_advisory_on_async(builder, &mut *conn).await
    //         Ok((mut conn, context)) => {
    //             let out = {
    //                 let conn = ::pglock::__rt::lend(&mut conn);
    //                 ::pglock::__rt::run_async_in(context, async move { .. }).await
    //             };
    //             return ::pglock::__rt::leave_on_async(conn, out, failed, on_error).await;
    //         }
    //
    // The call has the connection's name: of any other it would be said, too, that it is no connection.
    fn on_async_client(&self, enter: &str, client: &Client, body: &TokenStream) -> EnterAndRun {
        let (krate, function, span) = (self.krate, self.function, client.span());
        let (builder, on_error) = (local("builder"), local("on_error"));
        let enter = Ident::new(&format!("{enter}_async"), span);
        let (context, out) = (local("context"), local("out"));
        let failed = OnError::expand_failed(self.on_error, function, krate);
        let connection = client.reborrow(function);
        let call = client.name(function);
        let shadow = client.shadow(
            function,
            &quote_spanned!(span=> #krate::__rt::lend(&mut #call)),
        );
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
}
