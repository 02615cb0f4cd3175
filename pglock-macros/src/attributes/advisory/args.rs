//! The arguments of `#[pglock::advisory]`.

use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Result};

use super::hold_limits::{self, HoldLimits};
use super::side_effect::{self, AdvisorySideEffect};
use crate::attributes::named_lock;
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
    ("once_in", "once_in = \"55m\"", |args, option| {
        option.value(&mut args.once_in, |value| {
            DurationArg::above_zero("once_in", &ONCE_IN, value)
        })
    }),
    ("fenced", "fenced", |args, option| {
        option.flag(&mut args.fenced)
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

const ONCE_IN: Hints = Hints {
    example: |duration| format!("once_in = \"{duration}\""),
    least: "leave it out",
    may_be_none: false,
};

#[derive(Default)]
pub(in crate::attributes) struct Args {
    /// How many may run at once, in `#[pglock::limit]`.
    pub(super) permits: Option<Expr>,
    pub(super) lock_id: Option<Spanned<LockId>>,
    pub(super) timeout: Option<Spanned<DurationArg>>,
    pub(super) side_effect: Option<Spanned<AdvisorySideEffect>>,
    pub(super) hold_limits: HoldLimits,
    pub(super) once_in: Option<Spanned<DurationArg>>,
    pub(super) fenced: Option<Spanned<bool>>,
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
    pub(in crate::attributes) fn with_permits(self, permits: Expr) -> Self {
        Self {
            permits: Some(permits),
            ..self
        }
    }

    /// Whether an option is called so.
    pub(in crate::attributes) fn is_option(name: &str) -> bool {
        OPTIONS.iter().any(|(option, ..)| *option == name)
    }

    fn set_positional(&mut self, value: Expr) -> Result<()> {
        if let Some(message) = with_a_name(&value) {
            return Err(Error::new_spanned(value, message));
        }
        named_lock::set_positional(&mut self.lock_id, value, another_id)
    }

    /// The attribute's name.
    pub(super) fn attribute(&self) -> &'static str {
        match &self.permits {
            Some(_) => "limit",
            None => "advisory",
        }
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

    pub(super) fn is_shared(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.value)
    }

    pub(super) fn is_xact(&self) -> bool {
        self.xact.as_ref().is_some_and(|xact| xact.value)
    }

    /// The flag `dedicated`, where it is set.
    pub(super) fn dedicated(&self) -> Option<&Spanned<bool>> {
        self.dedicated.as_ref().filter(|dedicated| dedicated.value)
    }

    /// The flag `fenced`, where it is set.
    pub(super) fn fenced(&self) -> Option<&Spanned<bool>> {
        self.fenced.as_ref().filter(|fenced| fenced.value)
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

/// What to write for a word of the attribute that stands without its option, as in `#[pglock::advisory("a", Skip)]`.
fn with_a_name(value: &Expr) -> Option<String> {
    let called = match parse::ungroup(value) {
        Expr::Call(call) => parse::word(&call.func),
        _ => parse::word(value),
    };
    let option = match called?.to_string().as_str() {
        "Skip" | "Raise" => "side_effect",
        "Panic" => "on_error",
        "None" => "timeout",
        _ => return None,
    };
    let value = parse::source(value);
    Some(format!(
        "`{value}` is the value of an option: write `{option} = {value}`"
    ))
}

/// What to write for a value without a name after the lock ID.
fn another_id(value: &Expr) -> String {
    if let Some(written) = parse::word(value).map(ToString::to_string)
        && let Some(word) = suggest::word(&written, &side_effect::WORDS)
    {
        return format!(
            "`{written}` is not a flag (those are `shared`, `xact`, `dedicated` and `fenced`): write `side_effect = {word}`"
        );
    }
    if let Some(message) = parse::unknown_word(value, OPTIONS) {
        return message;
    }
    if let Ok(DurationArg::Literal(_)) = DurationArg::new(&WAIT, value.clone()) {
        let duration = parse::source(value);
        return format!(
            "there is a lock ID already: for a timeout write `timeout = {duration}`, for a pair of integers `(1, 2)`"
        );
    }
    format!(
        "only the lock ID and the flags `shared`, `xact`, `dedicated` and `fenced` are written without `=`, and there is a lock ID already: write `name = value` with one of {}",
        parse::names(OPTIONS)
    )
}
