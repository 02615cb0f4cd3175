//! `#[pglock::timeout]`: what it takes, what it refuses, and what it becomes.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Result};

use super::Attribute;
use super::lock_timeouts::LockTimeout;
use crate::catalog::AnnotatedSite;
use crate::function::Function;
use crate::options::client::Client;
use crate::options::duration::{DurationArg, Hints};
use crate::options::on_error::OnError;
use crate::options::parse::{self, NamedOption, Options, Spanned, parse_options};
use crate::options::shared::{SharedOptions, lock_timeout};
use crate::wrap;

const OPTIONS: &Options<Args> = &[
    ("client", "client = conn", |args, option| {
        option.value(&mut args.shared_options.client, Client::new)
    }),
    ("on_error", "on_error = Panic", |args, option| {
        option.value(&mut args.shared_options.on_error, OnError::new)
    }),
    ("crate", "crate = my_crate::pglock", |args, option| {
        option.path(&mut args.shared_options.krate)
    }),
    ("timeout", "", has_no_name),
    ("duration", "", has_no_name),
    ("lock_timeout", "", has_no_name),
];

fn has_no_name(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    Err(Error::new(
        option.name.span(),
        "the duration is written without a name: `#[pglock::timeout(\"3s\")]`",
    ))
}

const LOCK_TIMEOUT: Hints = Hints {
    example: |duration| format!("#[pglock::timeout(\"{duration}\")]"),
    least: "`None` for no limit",
    may_be_none: true,
};

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

#[derive(Default)]
struct Args {
    limit: Option<Spanned<DurationArg>>,
    shared_options: SharedOptions,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let args = parse_options(input, OPTIONS, Self::set_limit)?;
        match args.limit {
            Some(_) => Ok(args),
            None => Err(Error::new(
                Span::call_site(),
                "the duration is missing: write `#[pglock::timeout(\"3s\")]`, or `#[pglock::timeout(None)]` for no limit",
            )),
        }
    }
}

impl Args {
    fn set_limit(&mut self, value: Expr) -> Result<()> {
        let span = value.span();
        if self.limit.is_some() {
            let message = parse::unknown_word(&value, OPTIONS).unwrap_or_else(|| {
                let names = parse::names(OPTIONS);
                format!(
                    "only the duration can be given without a name, and there is one already: write `name = ..` with one of {names}"
                )
            });
            return Err(Error::new_spanned(value, message));
        }
        let limit = lock_timeout(&LOCK_TIMEOUT, value)?;
        self.limit = Some(Spanned { value: limit, span });
        Ok(())
    }
}

impl Attribute for Args {
    fn shared_options(&self) -> &SharedOptions {
        &self.shared_options
    }

    fn lock_timeout(&self, function: &Function) -> Option<LockTimeout<'_>> {
        Some(LockTimeout {
            client: self.shared_options.named_or_only(function),
            limit: self.limit.as_ref(),
            needs: None,
            grows: false,
        })
    }

    fn validate(&self, function: &Function) -> Result<()> {
        self.shared_options.validate_on_client(function)
    }

    // Expansion: expansions/timeout.rs
    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        let limit = self.limit.as_ref().map(|limit| limit.value.expand());
        wrap::on_client(
            "enter_timeout_on",
            &self.shared_options,
            function,
            body,
            &AnnotatedSite::new("timeout").timeout(self.limit.as_ref()),
            |krate| quote!(#krate::__rt::timeout(#limit)),
        )
    }
}
