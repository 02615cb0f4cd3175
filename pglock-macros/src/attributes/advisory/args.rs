//! The arguments of `#[pglock::advisory]`.

use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Result};

use super::hold_limits::{self, HoldLimits};
use super::side_effect::{self, AdvisorySideEffect};
use crate::options::client::Client;
use crate::options::duration::{DurationArg, Hints};
use crate::options::lock_id::LockId;
use crate::options::on_error::OnError;
use crate::options::parse::{self, Options, Spanned, parse_options};
use crate::options::shared::SharedOptions;
use crate::options::suggest;

const OPTIONS: &Options<Args> = &[
    ("lock_id", "lock_id = \"invoices\"", |args, option| {
        option.value(&mut args.lock_id, LockId::new)
    }),
    ("timeout", "timeout = \"2s\"", |args, option| {
        option.value(&mut args.timeout, |value| DurationArg::new(&WAIT, value))
    }),
    ("side_effect", "side_effect = Skip", |args, option| {
        option.value(&mut args.side_effect, AdvisorySideEffect::new)
    }),
    (
        "hold_at_least",
        "hold_at_least = \"30s\"",
        |args, option| option.value(&mut args.hold_limits.at_least, hold_limits::at_least),
    ),
    ("hold_at_most", "hold_at_most = \"10m\"", |args, option| {
        option.value(&mut args.hold_limits.at_most, hold_limits::at_most)
    }),
    ("shared", "shared", |args, option| {
        option.flag(&mut args.shared)
    }),
    ("xact", "xact", |args, option| option.flag(&mut args.xact)),
    ("dedicated", "dedicated", |args, option| {
        option.flag(&mut args.dedicated)
    }),
    ("reentrant", "reentrant = false", |args, option| {
        option.flag(&mut args.reentrant)
    }),
    ("using", "using = \"reports\"", |args, option| {
        option.value(&mut args.using, Ok)
    }),
    ("client", "client = conn", |args, option| {
        option.value(&mut args.shared_options.client, Client::new)
    }),
    ("on_error", "on_error = Panic", |args, option| {
        option.value(&mut args.shared_options.on_error, OnError::new)
    }),
    ("crate", "crate = my_crate::pglock", |args, option| {
        option.path(&mut args.shared_options.krate)
    }),
];

const WAIT: Hints = Hints {
    example: |duration| format!("timeout = \"{duration}\""),
    least: "`0` to try once",
    may_be_none: true,
};

#[derive(Default)]
pub(super) struct Args {
    pub(super) lock_id: Option<Spanned<LockId>>,
    pub(super) timeout: Option<Spanned<DurationArg>>,
    pub(super) side_effect: Option<Spanned<AdvisorySideEffect>>,
    pub(super) hold_limits: HoldLimits,
    pub(super) shared: Option<Spanned<bool>>,
    pub(super) xact: Option<Spanned<bool>>,
    pub(super) dedicated: Option<Spanned<bool>>,
    pub(super) reentrant: Option<Spanned<bool>>,
    pub(super) using: Option<Spanned<Expr>>,
    pub(super) shared_options: SharedOptions,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        parse_options(input, OPTIONS, Self::set_positional)
    }
}

impl Args {
    fn set_positional(&mut self, value: Expr) -> Result<()> {
        if self.lock_id.is_some() {
            let names = parse::names(OPTIONS);
            let message = match side_effect_word(&value) {
                Some((written, word)) => format!(
                    "`{written}` is not a flag (those are `shared`, `xact` and `dedicated`): write `side_effect = {word}`"
                ),
                None => format!(
                    "only the lock ID and the flags `shared`, `xact` and `dedicated` are written without `=`, and there is a lock ID already: write `name = value` with one of {names}"
                ),
            };
            return Err(Error::new_spanned(value, message));
        }
        let span = value.span();
        self.lock_id = Some(Spanned {
            value: LockId::new(value)?,
            span,
        });
        Ok(())
    }

    pub(super) fn side_effect(&self) -> &AdvisorySideEffect {
        self.side_effect
            .as_ref()
            .map_or(&AdvisorySideEffect::Raise, |effect| &effect.value)
    }

    pub(super) fn client(&self) -> Option<&Client> {
        self.shared_options
            .client
            .as_ref()
            .map(|client| &client.value)
    }

    pub(super) fn is_xact(&self) -> bool {
        self.xact.as_ref().is_some_and(|xact| xact.value)
    }

    /// The flag `dedicated`, where it is set.
    pub(super) fn dedicated(&self) -> Option<&Spanned<bool>> {
        self.dedicated.as_ref().filter(|dedicated| dedicated.value)
    }

    /// The option `reentrant = false`, where it is set.
    pub(super) fn not_reentrant(&self) -> Option<&Spanned<bool>> {
        self.reentrant.as_ref().filter(|reentrant| !reentrant.value)
    }

    /// The option because of which the lock is not a session lock of pglock's own.
    pub(super) fn elsewhere(&self) -> Option<&'static str> {
        match &self.shared_options.client {
            Some(_) => Some("client"),
            None => self.is_xact().then_some("xact"),
        }
    }
}

/// A side effect that was written as a flag: the word as it was written, and as it should be.
fn side_effect_word(value: &Expr) -> Option<(String, &'static str)> {
    let written = parse::word(value)?.to_string();
    let word = suggest::word(&written, &side_effect::WORDS)?;
    Some((written, word))
}
