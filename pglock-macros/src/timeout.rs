//! `#[pglock::timeout]`: what it takes, what it refuses, and what it becomes.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Ident, Path, Result, Token, parse_quote_spanned};

use crate::args::{self, CratePath, Options, Spanned, set_once};
use crate::client::Client;
use crate::duration::{Advice, Limit};
use crate::frame::{Frame, OnClient};
use crate::function::Function;
use crate::layers::Layer;
use crate::on_error::OnError;

const OPTIONS: &Options = &[
    ("client", "client = conn"),
    ("on_error", "on_error = Panic"),
    ("crate", "crate = my_crate::pglock"),
];

const ON_CLIENT: OnClient = OnClient {
    request: "timeout",
    enter: "enter_timeout",
    catch: "catch_unwinding",
    within: "run_to_the_end",
    leave: "leave_timeout",
};

const LOCK_TIMEOUT: Advice = Advice {
    example: |duration| format!("#[pglock::timeout(\"{duration}\")]"),
    least: "`None` for no limit",
};

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Layer>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

#[derive(Default)]
struct Args {
    limit: Option<Spanned<Limit>>,
    client: Option<Spanned<Client>>,
    on_error: Option<Spanned<OnError>>,
    krate: Option<Spanned<Path>>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        while !input.is_empty() {
            match args::option_name(input, OPTIONS)? {
                Some(name) => args.parse_option(&name, input)?,
                None => args.parse_limit(input)?,
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        match args.limit {
            Some(_) => Ok(args),
            None => Err(Error::new(
                Span::call_site(),
                "how long to wait for locks? write `#[pglock::timeout(\"3s\")]`, or `None` for no limit",
            )),
        }
    }
}

impl Args {
    fn parse_option(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        let span = name.span();
        let option = name.to_string();
        let value = || args::value::<Expr>(input, name, OPTIONS);
        match option.as_str() {
            "client" => set_once(&mut self.client, &option, Client::new(value()?)?, span),
            "on_error" => set_once(&mut self.on_error, &option, OnError::new(value()?)?, span),
            "crate" => {
                let path = args::value::<CratePath>(input, name, OPTIONS)?.0;
                set_once(&mut self.krate, &option, path, span)
            }
            _ => Err(args::unknown_option(name, OPTIONS)),
        }
    }

    fn parse_limit(&mut self, input: ParseStream<'_>) -> Result<()> {
        let value: Expr = input.parse()?;
        let span = value.span();
        if self.limit.is_some() {
            let names = args::names(OPTIONS);
            return Err(Error::new_spanned(
                value,
                format!(
                    "only the duration has no name, and it is given already: write `name = ..` with one of {names}"
                ),
            ));
        }
        let limit = Limit::new(&LOCK_TIMEOUT, value.clone())?;
        if matches!(&limit, Limit::After(duration) if duration.is_zero()) {
            return Err(Error::new_spanned(
                value,
                "a lock timeout of zero is no limit to Postgres: write `\"1ms\"` or more, or `None` for no limit",
            ));
        }
        self.limit = Some(Spanned { value: limit, span });
        Ok(())
    }

    /// The connection that the option names, or the only one that there can be.
    fn client(&self, function: &Function) -> Result<Client> {
        match &self.client {
            Some(client) => Ok(client.value.clone()),
            None => Client::only_argument(function),
        }
    }

    fn on_error(&self) -> Option<&OnError> {
        self.on_error.as_ref().map(|on_error| &on_error.value)
    }
}

impl Layer for Args {
    fn krate(&self) -> Path {
        self.krate.as_ref().map_or_else(
            || parse_quote_spanned!(Span::call_site()=> ::pglock),
            |krate| krate.value.clone(),
        )
    }

    fn validate(&self, function: &Function) -> Result<()> {
        args::all([
            self.client(function)
                .and_then(|client| client.validate(function)),
            OnError::validate(self.on_error(), function),
        ])
    }

    // Input:  "3s", client = conn
    // Output: let timeout = ::pglock::__rt::timeout(::core::time::Duration::new(3u64, 0u32));
    //         .. as for a lock on that connection ..
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        let (Ok(client), Some(limit)) = (self.client(function), &self.limit) else {
            // `validate` has said why.
            return body.clone();
        };
        let span = client.span();
        let krate = match &self.krate {
            Some(krate) => krate.value.clone(),
            None => parse_quote_spanned!(span=> ::pglock),
        };
        let limit = limit.value.expand();
        let frame = Frame {
            krate: &krate,
            function,
            on_error: self.on_error(),
        };
        let steps = frame.on_client(&ON_CLIENT, &client, body);
        let builder = quote!(#krate::__rt::timeout(#limit));
        frame.statements(ON_CLIENT.request, &builder, &steps, &TokenStream::new())
    }
}
