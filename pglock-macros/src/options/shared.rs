//! The options that all attributes have, and the checks of the attributes that work on a connection of the caller's.

use proc_macro2::Span;
use syn::{Error, Expr, Path, Result, parse_quote_spanned};

use crate::function::Function;
use crate::options::client::Client;
use crate::options::duration::{DurationArg, Hints};
use crate::options::on_error::OnError;
use crate::options::parse::{self, Spanned};

/// `client`, `on_error` and `crate`.
#[derive(Default)]
pub(crate) struct SharedOptions {
    pub(crate) client: Option<Spanned<Client>>,
    pub(crate) on_error: Option<Spanned<OnError>>,
    pub(crate) krate: Option<Spanned<Path>>,
}

impl SharedOptions {
    /// The path of pglock in generated code. The compiler reports errors about it at `span`.
    pub(crate) fn krate_at(&self, span: Span) -> Path {
        self.krate.as_ref().map_or_else(
            || parse_quote_spanned!(span=> ::pglock),
            |krate| krate.value.clone(),
        )
    }

    pub(crate) fn on_error(&self) -> Option<&OnError> {
        self.on_error.as_ref().map(|on_error| &on_error.value)
    }

    /// Checks an attribute that works on a connection.
    pub(crate) fn validate_on_client(&self, function: &Function) -> Result<()> {
        parse::combine([
            self.named_or_only(function).and_then(|client| {
                client.validate(function)?;
                client.validate_returned(function)
            }),
            OnError::validate(self.on_error(), function),
        ])
    }

    /// The connection that `client` names, or the only `&mut` argument.
    pub(crate) fn named_or_only(&self, function: &Function) -> Result<Client> {
        match &self.client {
            Some(client) => Ok(client.value.clone()),
            None => Client::only_argument(function),
        }
    }
}

/// Reads a value for Postgres' `lock_timeout`, where zero means "no limit".
pub(crate) fn lock_timeout(hints: &Hints, value: Expr) -> Result<DurationArg> {
    match DurationArg::new(hints, value.clone())? {
        DurationArg::Literal(timeout) if timeout.is_zero() => Err(Error::new_spanned(
            value,
            "Postgres takes a lock timeout of zero as no limit: write `\"1ms\"` or more, or `None` for no limit",
        )),
        timeout => Ok(timeout),
    }
}
