//! `#[pglock::advisory]`: what it takes, what it refuses, what it becomes.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Ident, Path, Result, Token, parse_quote};

use crate::args::{self, Choice, CratePath, Spanned, local, set_once};
use crate::client::Client;
use crate::duration::Limit;
use crate::function::Function;
use crate::layers::Layer;
use crate::lock_id::LockId;
use crate::on_error::OnError;

const OPTIONS: &[Choice] = &[
    Choice { name: "lock_id", example: "lock_id = \"invoices\"" },
    Choice { name: "timeout", example: "timeout = \"2s\"" },
    Choice { name: "side_effect", example: "side_effect = Skip" },
    Choice { name: "shared", example: "shared" },
    Choice { name: "xact", example: "xact" },
    Choice { name: "using", example: "using = \"reports\"" },
    Choice { name: "client", example: "client = conn" },
    Choice { name: "on_error", example: "on_error = Panic" },
    Choice { name: "crate", example: "crate = my_crate::pglock" },
];

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Layer>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

#[derive(Default)]
struct Args {
    lock_id: Option<Spanned<LockId>>,
    timeout: Option<Spanned<Limit>>,
    side_effect: Option<Spanned<SideEffect>>,
    shared: Option<Spanned<bool>>,
    xact: Option<Spanned<bool>>,
    using: Option<Spanned<Expr>>,
    client: Option<Spanned<Client>>,
    on_error: Option<Spanned<OnError>>,
    krate: Option<Spanned<Path>>,
}

/// What happens when the lock is not had in time.
enum SideEffect {
    Raise,
    /// `Skip`, with these tokens.
    Skip(Expr),
    /// `Skip(value)`
    SkipWith { effect: Expr, value: Expr },
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        while !input.is_empty() {
            match args::option_name(input, OPTIONS)? {
                Some(name) => args.parse_option(&name, input)?,
                None => args.parse_positional(input)?,
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

impl Args {
    fn parse_option(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        let span = name.span();
        let option = name.to_string();
        let value = || args::value::<Expr>(input, name, OPTIONS);
        match option.as_str() {
            "lock_id" => set_once(&mut self.lock_id, &option, LockId::new(value()?)?, span),
            "timeout" => set_once(&mut self.timeout, &option, Limit::new(&option, value()?)?, span),
            "side_effect" => set_once(&mut self.side_effect, &option, SideEffect::new(value()?)?, span),
            "shared" => set_once(&mut self.shared, &option, args::flag(input, name)?, span),
            "xact" => set_once(&mut self.xact, &option, args::flag(input, name)?, span),
            "using" => set_once(&mut self.using, &option, value()?, span),
            "client" => set_once(&mut self.client, &option, Client::new(value()?)?, span),
            "on_error" => set_once(&mut self.on_error, &option, OnError::new(value()?)?, span),
            "crate" => set_once(&mut self.krate, &option, args::value::<CratePath>(input, name, OPTIONS)?.0, span),
            _ => Err(args::unknown_option(name, OPTIONS)),
        }
    }

    fn parse_positional(&mut self, input: ParseStream<'_>) -> Result<()> {
        let value: Expr = input.parse()?;
        if self.lock_id.is_some() {
            let names = args::names(OPTIONS);
            return Err(Error::new_spanned(
                value,
                format!("only the lock ID has no name, and it is given already: write `name = ..` with one of {names}"),
            ));
        }
        let span = value.span();
        set_once(&mut self.lock_id, "lock_id", LockId::new(value)?, span)
    }
}

impl Layer for Args {
    fn krate(&self) -> Path {
        self.krate.as_ref().map_or_else(|| parse_quote!(::pglock), |krate| krate.value.clone())
    }

    fn has_default_id(&self) -> bool {
        self.lock_id.is_none()
    }

    fn validate(&self, function: &Function) -> Result<()> {
        let checks = [
            self.validate_lock_id(function),
            self.validate_side_effect(),
            self.validate_client(function),
            OnError::validate(self.on_error(), function),
        ];
        let mut errors = None;
        for error in checks.into_iter().filter_map(Result::err) {
            args::combine(&mut errors, error);
        }
        errors.map_or(Ok(()), Err)
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
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        let krate = self.krate();
        let (advisory, on_error, error) = (local("advisory"), local("on_error"), local("error"));
        let builder = self.expand_builder(function, &krate);
        let handler = OnError::expand(self.on_error(), function, &krate);
        let Steps { enter, run } = match &self.client {
            None => self.expand_own_session(function, &krate, body),
            Some(client) if self.is_xact() => expand_in_transaction(&client.value, function, &krate, body),
            Some(client) => self.expand_on_client(&client.value, function, &krate, body),
        };
        let skip = self.expand_skipped(function, &krate).map(|skipped| {
            quote! {
                if #krate::__rt::is_busy(&#error) {
                    return #skipped;
                }
            }
        });
        quote! {
            let #advisory = #builder;
            #handler
            let #error = match #enter {
                #run
                ::core::result::Result::Err(#error) => #error,
            };
            #skip
            #on_error(#error)
        }
    }
}

/// What it refuses.
impl Args {
    fn validate_lock_id(&self, function: &Function) -> Result<()> {
        match (&self.lock_id, function.sig.receiver()) {
            (Some(lock_id), _) => lock_id.value.validate(function),
            (None, None) => Ok(()),
            (None, Some(receiver)) => Err(Error::new_spanned(
                receiver,
                format!(
                    "a method needs a lock ID, as in `#[pglock::advisory(\"{}\")]`: without one, methods of this name on two types would share a lock",
                    function.sig.ident.unraw()
                ),
            )),
        }
    }

    /// Whoever waits for ever never skips.
    fn validate_side_effect(&self) -> Result<()> {
        let effect = match self.side_effect.as_ref().map(|effect| &effect.value) {
            Some(SideEffect::Skip(effect) | SideEffect::SkipWith { effect, .. }) => effect,
            Some(SideEffect::Raise) | None => return Ok(()),
        };
        match self.timeout.as_ref().map(|timeout| &timeout.value) {
            Some(Limit::After(_) | Limit::Expression(_)) => Ok(()),
            Some(Limit::Never) | None => Err(Error::new_spanned(
                effect,
                "without a timeout nothing is ever skipped: add `timeout = 0` to try once, or a time such as `timeout = \"2s\"`",
            )),
        }
    }

    fn validate_client(&self, function: &Function) -> Result<()> {
        match (&self.client, &self.using) {
            (Some(_), Some(using)) => {
                Err(Error::new(using.span, "the connection of `client` says where the lock is: remove `using`"))
            }
            (Some(client), None) => client.value.validate(function),
            (None, _) => Ok(()),
        }
    }
}

/// What it becomes.
impl Args {
    fn on_error(&self) -> Option<&OnError> {
        self.on_error.as_ref().map(|on_error| &on_error.value)
    }

    fn is_xact(&self) -> bool {
        self.xact.as_ref().is_some_and(|xact| xact.value)
    }

    // Input:  "invoices", shared, timeout = "2s", side_effect = Skip
    // Output: ::pglock::__rt::skip(
    //             ::pglock::__rt::advisory("invoices").shared().timeout(::core::time::Duration::new(2u64, 0u32)),
    //         )
    fn expand_builder(&self, function: &Function, krate: &Path) -> TokenStream {
        let mut builder = match &self.lock_id {
            None => expand_default_id(function, krate),
            Some(Spanned { value, span }) => {
                let id = value.expand();
                quote_spanned!(*span=> #krate::__rt::advisory(#id))
            }
        };
        if self.shared.as_ref().is_some_and(|shared| shared.value) {
            builder = quote!(#builder.shared());
        }
        if self.is_xact() {
            builder = quote!(#builder.xact());
        }
        if let Some(using) = &self.using {
            let value = &using.value;
            builder = quote!(#builder.using(#value));
        }
        if let Some(timeout) = &self.timeout {
            let limit = timeout.value.expand();
            builder = quote!(#builder.timeout(#limit));
        }
        if let Some(SideEffect::Skip(_) | SideEffect::SkipWith { .. }) = self.side_effect.as_ref().map(|effect| &effect.value) {
            builder = quote!(#krate::__rt::skip(#builder));
        }
        builder
    }

    // Input:  fn report() -> R, Skip                         Skip(value)
    // Output: <R as ::pglock::__rt::Skippable>::skipped()    value
    fn expand_skipped(&self, function: &Function, krate: &Path) -> Option<TokenStream> {
        match &self.side_effect.as_ref()?.value {
            SideEffect::Raise => None,
            SideEffect::Skip(_) => {
                let returned = function.returned();
                Some(quote_spanned!(returned.span()=> <#returned as #krate::__rt::Skippable>::skipped()))
            }
            SideEffect::SkipWith { value, .. } => Some(quote!(#value)),
        }
    }

    // Input:  fn                                                   async fn
    // Output: ::pglock::__rt::enter(advisory)                      ::pglock::__rt::enter_async(advisory).await
    //         Ok(call) => return ::pglock::__rt::run(              Ok(call) => return ::pglock::__rt::run_async(
    //             call, move || -> R { .. }, failed, on_error),        call, async move { .. }, failed, on_error).await,
    fn expand_own_session(&self, function: &Function, krate: &Path, body: &TokenStream) -> Steps {
        let (advisory, on_error, call) = (local("advisory"), local("on_error"), local("call"));
        let failed = OnError::expand_failed(self.on_error(), function, krate);
        if function.sig.asyncness.is_some() {
            let body = function.future(body);
            return Steps {
                enter: quote!(#krate::__rt::enter_async(#advisory).await),
                run: quote! {
                    ::core::result::Result::Ok(#call) => return #krate::__rt::run_async(#call, #body, #failed, #on_error).await,
                },
            };
        }
        let body = function.closure(body);
        Steps {
            enter: quote!(#krate::__rt::enter(#advisory)),
            run: quote! {
                ::core::result::Result::Ok(#call) => return #krate::__rt::run(#call, move #body, #failed, #on_error),
            },
        }
    }

    // Input:  fn, client = conn                                    async fn, client = conn
    // Output: ::pglock::__rt::enter_on(advisory, &mut *conn)       ::pglock::__rt::enter_on_async(advisory, &mut *conn).await
    //         Ok(call) => {                                        Ok(mut call) => {
    //             let out = {                                          let out = {
    //                 let conn = &mut *conn;                               let conn = ::pglock::__rt::lend(&mut call);
    //                 ::pglock::__rt::catch(move || -> R { .. })           ::pglock::__rt::within(async move { .. }).await
    //             };                                                   };
    //             return ::pglock::__rt::leave_on(                     return ::pglock::__rt::leave_on_async(
    //                 call, &mut *conn, out, failed, on_error);            call, out, failed, on_error).await;
    //         }                                                    }
    fn expand_on_client(&self, client: &Client, function: &Function, krate: &Path, body: &TokenStream) -> Steps {
        let (advisory, on_error) = (local("advisory"), local("on_error"));
        let (call, out) = (local("call"), local("out"));
        let failed = OnError::expand_failed(self.on_error(), function, krate);
        let connection = client.reborrow(function);
        if function.sig.asyncness.is_some() {
            let shadow = client.shadow(function, &quote!(#krate::__rt::lend(&mut #call)));
            let body = function.future(body);
            return Steps {
                enter: { let k: Path = syn::parse_quote_spanned!(client.span()=> ::pglock); quote_spanned!(client.span()=> #k::__rt::enter_on_async(#advisory, #connection).await) },
                run: quote! {
                    ::core::result::Result::Ok(mut #call) => {
                        let #out = {
                            #shadow
                            #krate::__rt::within(#body).await
                        };
                        return #krate::__rt::leave_on_async(#call, #out, #failed, #on_error).await;
                    }
                },
            };
        }
        let shadow = client.shadow(function, &connection);
        let body = client.body(function.closure(body));
        Steps {
            enter: quote!(#krate::__rt::enter_on(#advisory, #connection)),
            run: quote! {
                ::core::result::Result::Ok(#call) => {
                    let #out = {
                        #shadow
                        #krate::__rt::catch(#body)
                    };
                    return #krate::__rt::leave_on(#call, #connection, #out, #failed, #on_error);
                }
            },
        }
    }
}

/// The two halves of a call that generated code has to choose between connections.
struct Steps {
    /// Takes the lock: a `Result`.
    enter: TokenStream,
    /// The match arm that runs the body with it.
    run: TokenStream,
}

// Input:  fn report()
// Output: {
//             static SITE: ::pglock::__rt::Site = ..;
//             ::pglock::__rt::inventory::submit! { ::pglock::__rt::Registered(&SITE) }
//             ::pglock::__rt::advisory_at(&SITE)
//         }
fn expand_default_id(function: &Function, krate: &Path) -> TokenStream {
    let name = function.sig.ident.unraw().to_string();
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

// Input:  fn, client = tx, xact                                async fn, client = tx, xact
// Output: ::pglock::__rt::enter_xact(advisory, &mut *tx)       ::pglock::__rt::enter_xact_async(advisory, &mut *tx).await
//         Ok(call) => return ::pglock::__rt::run_xact(         Ok(call) => return ::pglock::__rt::run_xact_async(
//             call, move || -> R { .. }),                          call, async move { .. }).await,
fn expand_in_transaction(client: &Client, function: &Function, krate: &Path, body: &TokenStream) -> Steps {
    let (advisory, call) = (local("advisory"), local("call"));
    let connection = client.reborrow(function);
    if function.sig.asyncness.is_some() {
        let body = function.future(body);
        return Steps {
            enter: quote!(#krate::__rt::enter_xact_async(#advisory, #connection).await),
            run: quote!(::core::result::Result::Ok(#call) => return #krate::__rt::run_xact_async(#call, #body).await,),
        };
    }
    let body = client.body(function.closure(body));
    Steps {
        enter: quote!(#krate::__rt::enter_xact(#advisory, #connection)),
        run: quote!(::core::result::Result::Ok(#call) => return #krate::__rt::run_xact(#call, #body),),
    }
}

impl SideEffect {
    fn new(value: Expr) -> Result<Self> {
        let fail = |message: &str| Err(Error::new_spanned(&value, message));
        if let Some(text) = args::text(&value) {
            return fail(&format!("a side effect is no string: write `{text}` without quotes"));
        }
        if let Expr::Call(call) = args::ungroup(&value)
            && args::word(&call.func).is_some_and(|word| word == "Skip")
        {
            return match call.args.iter().collect::<Vec<_>>()[..] {
                [skipped] => Ok(Self::SkipWith { effect: (*call.func).clone(), value: skipped.clone() }),
                _ => fail("`Skip(..)` takes one value, all that the function returns: write `Skip`, `Skip(value)` or `Skip((a, b))`"),
            };
        }
        match args::word(&value).map(ToString::to_string).as_deref() {
            Some("Raise") => Ok(Self::Raise),
            Some("Skip") => Ok(Self::Skip(value)),
            Some("Return") => fail("to be told whether the lock was had, call `pglock::advisory(..).try_acquire()`; to run only with it, write `Skip`"),
            Some("Panic") => fail("what an error becomes is `on_error`'s: write `on_error = Panic`"),
            Some(word @ ("Terminate" | "Cancel" | "Escalate")) => {
                fail(&format!("`{word}` is a side effect of `#[pglock::prioritize]`: here it is `Raise`, `Skip` or `Skip(value)`"))
            }
            _ => fail("unknown side effect: expected `Raise`, `Skip` or `Skip(value)`"),
        }
    }
}
