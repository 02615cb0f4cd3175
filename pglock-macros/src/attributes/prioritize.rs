//! `#[pglock::prioritize]`: what it takes, what it refuses, and what it becomes.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Path, Result};

use super::Attribute;
use super::lock_timeouts::{LockTimeout, Needs};
use crate::catalog::AnnotatedSite;
use crate::function::Function;
use crate::options::client::Client;
use crate::options::duration::{DurationArg, Hints};
use crate::options::on_error::OnError;
use crate::options::parse::{self, NamedOption, Options, Spanned, parse_named_options};
use crate::options::shared::{SharedOptions, lock_timeout};
use crate::options::suggest;
use crate::wrap;

const OPTIONS: &Options<Args> = &[
    ("interval", "interval = \"500ms\"", |args, option| {
        option.value(&mut args.interval, |value| {
            DurationArg::above_zero("interval", &INTERVAL, value)
        })
    }),
    ("periodic", "periodic = false", |args, option| {
        option.flag(&mut args.periodic)
    }),
    ("timeout", "timeout = \"10s\"", |args, option| {
        option.value(&mut args.timeout, |value| {
            lock_timeout(&LOCK_TIMEOUT, value)
        })
    }),
    ("side_effect", "side_effect = Cancel", |args, option| {
        option.value(&mut args.side_effect, PrioritizeSideEffect::new)
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
    ("filter", "", of_the_side_effect),
    ("exclude", "", of_the_side_effect),
    ("never_application", "", of_the_side_effect),
    ("never_user", "", of_the_side_effect),
    ("dry_run", "", of_the_side_effect),
    ("blocking_duration_gte", "", of_the_side_effect),
];

fn of_the_side_effect(_: &mut Args, option: &NamedOption<'_>) -> Result<()> {
    let name = &option.name;
    Err(Error::new(
        name.span(),
        format!(
            "`{name}` is a method of the side effect: write `side_effect = pglock::Terminate::new().{name}(..)`"
        ),
    ))
}

const INTERVAL: Hints = Hints {
    example: |duration| format!("interval = \"{duration}\""),
    least: "leave it out for one second",
    may_be_none: false,
};

const LOCK_TIMEOUT: Hints = Hints {
    example: |duration| format!("timeout = \"{duration}\""),
    least: "`None` for no limit",
    may_be_none: true,
};

/// The interval where none is given: the runtime's.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);

/// How long `Escalate` waits before it terminates what it has canceled: the runtime's.
const GRACE: Duration = Duration::from_secs(5);

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

#[derive(Default)]
struct Args {
    interval: Option<Spanned<DurationArg>>,
    periodic: Option<Spanned<bool>>,
    timeout: Option<Spanned<DurationArg>>,
    side_effect: Option<Spanned<PrioritizeSideEffect>>,
    using: Option<Spanned<Expr>>,
    shared_options: SharedOptions,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        parse_named_options(input, OPTIONS)
    }
}

impl Args {
    fn needs(&self) -> Option<Needs> {
        let interval = match self.interval.as_ref().map(|interval| &interval.value) {
            None => DEFAULT_INTERVAL,
            Some(DurationArg::Literal(interval)) => *interval,
            Some(DurationArg::Expression(_) | DurationArg::Unlimited) => return None,
        };
        let side_effect = self.side_effect.as_ref().map(|it| &it.value);
        Some(Needs {
            interval,
            is_default_interval: self.interval.is_none(),
            grace: match side_effect {
                Some(PrioritizeSideEffect::Named(word)) if word == "Escalate" => Some(GRACE),
                _ => None,
            },
        })
    }
}

/// The side effects that pglock has itself.
const WORDS: [&str; 3] = ["Terminate", "Cancel", "Escalate"];

/// What is done to blocking sessions.
pub(super) enum PrioritizeSideEffect {
    /// One of [`WORDS`].
    Named(Ident),
    Expression(Expr),
}

impl PrioritizeSideEffect {
    pub(super) fn new(value: Expr) -> Result<Self> {
        let fail = |message: String| Err(Error::new_spanned(&value, message));
        if let Some(text) = parse::text(&value) {
            return fail(match suggest::word(&text, &WORDS) {
                Some(word) => format!(
                    "a side effect is a word, not a string: write `side_effect = {word}`, without quotes"
                ),
                None => "a side effect is a word, not a string: write `Terminate`, `Cancel` or `Escalate`, without quotes".to_owned(),
            });
        }
        let called = match parse::ungroup(&value) {
            Expr::Call(call) => parse::word(&call.func),
            _ => parse::word(&value),
        };
        match called.map(ToString::to_string).as_deref() {
            Some(word)
                if WORDS.contains(&word) && matches!(parse::ungroup(&value), Expr::Call(_)) =>
            {
                fail(format!(
                    "`{word}` takes no arguments: choose what it signals by its methods, as in `pglock::{word}::new().filter(\"blocking_activity__state=IDLE\")?`"
                ))
            }
            Some(word @ ("Skip" | "Raise" | "Return" | "Panic")) => fail(format!(
                "`{word}` belongs to `#[pglock::advisory]`: write `Terminate`, `Cancel`, `Escalate`, or an expression that implements `PrioritizeSideEffect`"
            )),
            _ => Ok(match parse::word(&value) {
                Some(word) if WORDS.iter().any(|own| word == own) => Self::Named(word.clone()),
                _ => Self::Expression(value),
            }),
        }
    }

    /// What the catalog says of it.
    pub(super) fn word(side_effect: Option<&Spanned<Self>>) -> Option<String> {
        match side_effect.map(|it| &it.value) {
            Some(Self::Named(word)) => Some(word.to_string()),
            // The runtime's default.
            None => Some("Terminate".to_owned()),
            Some(Self::Expression(_)) => None,
        }
    }

    // Input:  side_effect = Cancel         side_effect = Page::new()
    // Output: ::pglock::__rt::Cancel       Page::new()
    pub(super) fn expand(&self, krate: &Path) -> TokenStream {
        match self {
            Self::Named(name) => quote!(#krate::__rt::#name),
            Self::Expression(value) => quote!(#value),
        }
    }
}

impl Attribute for Args {
    fn shared_options(&self) -> &SharedOptions {
        &self.shared_options
    }

    fn lock_timeout(&self, function: &Function) -> Option<LockTimeout<'_>> {
        Some(LockTimeout {
            client: self.shared_options.named_or_only(function),
            limit: self.timeout.as_ref(),
            needs: self.needs(),
            grows: false,
        })
    }

    fn validate(&self, function: &Function) -> Result<()> {
        self.shared_options.validate_on_client(function)
    }

    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        wrap::on_client(
            "enter_prioritize_on",
            &self.shared_options,
            function,
            body,
            &self.site(),
            |krate| self.builder(krate),
        )
    }
}

impl Args {
    fn site(&self) -> AnnotatedSite {
        AnnotatedSite::new("prioritize")
            .timeout(self.timeout.as_ref())
            .side_effect(PrioritizeSideEffect::word(self.side_effect.as_ref()))
    }

    // Expansion: expansions/prioritize.rs
    fn builder(&self, krate: &Path) -> TokenStream {
        let mut builder = quote!(#krate::__rt::prioritize());
        if let Some(Spanned { value, .. }) = &self.interval {
            let interval = value.expand();
            builder = quote!(#builder.interval(#interval));
        }
        if let Some(Spanned { value, .. }) = &self.periodic {
            builder = quote!(#builder.periodic(#value));
        }
        if let Some(Spanned { value, .. }) = &self.timeout {
            let timeout = value.expand();
            builder = quote!(#builder.timeout(#timeout));
        }
        if let Some(Spanned { value, .. }) = &self.side_effect {
            let side_effect = value.expand(krate);
            builder = quote!(#builder.side_effect(#side_effect));
        }
        if let Some(Spanned { value, .. }) = &self.using {
            builder = quote!(#builder.using(#value));
        }
        builder
    }
}
