//! `#[pglock::prioritize]`: what it takes, what it refuses, and what it becomes.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Path, Result, Token};

use super::Attribute;
use crate::function::Function;
use crate::options::duration::{DurationArg, Hints};
use crate::options::parse::{self, Options, Spanned, set_once};
use crate::options::shared::{SharedOptions, refuse_zero_timeout};
use crate::wrap;

const OPTIONS: &Options = &[
    ("interval", "interval = \"500ms\""),
    ("periodic", "periodic = false"),
    ("timeout", "timeout = \"10s\""),
    ("side_effect", "side_effect = Cancel"),
    ("using", "using = \"reports\""),
    ("client", "client = conn"),
    ("on_error", "on_error = Panic"),
    ("crate", "crate = my_crate::pglock"),
];

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
    side_effect: Option<Spanned<SideEffect>>,
    using: Option<Spanned<Expr>>,
    shared_options: SharedOptions,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        while !input.is_empty() {
            let Some(name) = parse::option_name(input, OPTIONS)? else {
                let value: Expr = input.parse()?;
                return Err(Error::new_spanned(
                    value,
                    format!(
                        "every option has a name: write `name = ..` with one of {}",
                        parse::names(OPTIONS)
                    ),
                ));
            };
            args.parse_option(&name, input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        args.refuse_timeout_below_interval()?;
        Ok(args)
    }
}

impl Args {
    fn parse_option(&mut self, name: &Ident, input: ParseStream<'_>) -> Result<()> {
        let span = name.span();
        let option = name.to_string();
        let value = || parse::value::<Expr>(input, name, OPTIONS);
        match option.as_str() {
            "interval" => set_once(&mut self.interval, &option, interval(value()?)?, span),
            "periodic" => set_once(&mut self.periodic, &option, parse::flag(input, name)?, span),
            "timeout" => {
                let value = value()?;
                let blamed = value.span();
                let limit = lock_timeout(&value)?;
                set_once(&mut self.timeout, &option, limit, span)?;
                // What may be wrong with it is the value.
                self.timeout
                    .iter_mut()
                    .for_each(|timeout| timeout.span = blamed);
                Ok(())
            }
            "side_effect" => set_once(
                &mut self.side_effect,
                &option,
                SideEffect::new(value()?)?,
                span,
            ),
            "using" => set_once(&mut self.using, &option, value()?, span),
            "filter"
            | "exclude"
            | "never_application"
            | "never_user"
            | "dry_run"
            | "blocking_duration_gte" => Err(Error::new(
                span,
                format!(
                    "`{option}` is said of the side effect: write `side_effect = pglock::Terminate::new().{option}(..)`"
                ),
            )),
            _ => self.shared_options.parse_option(name, input, OPTIONS),
        }
    }

    fn refuse_timeout_below_interval(&self) -> Result<()> {
        let Some(Spanned {
            value: DurationArg::Literal(timeout),
            span,
        }) = &self.timeout
        else {
            return Ok(());
        };
        let interval = match self.interval.as_ref().map(|interval| &interval.value) {
            None => DEFAULT_INTERVAL,
            Some(DurationArg::Literal(interval)) => *interval,
            Some(DurationArg::Expression(_) | DurationArg::Unlimited) => return Ok(()),
        };
        if *timeout >= interval {
            return Ok(());
        }
        let of_it = if self.interval.is_none() {
            "the interval, which is one second unless it is given"
        } else {
            "the interval"
        };
        Err(Error::new(
            *span,
            format!(
                "this timeout is below {of_it}, so the wait would end before the first look: write a longer `timeout` or a shorter `interval`"
            ),
        ))
    }
}

fn interval(value: Expr) -> Result<DurationArg> {
    let limit = DurationArg::new(&INTERVAL, value.clone())?;
    match &limit {
        DurationArg::Literal(interval) if interval.is_zero() => Err(Error::new_spanned(
            value,
            "an interval of zero would look without end: write `\"1ms\"` or more, or leave it out for one second",
        )),
        DurationArg::Unlimited => Err(Error::new_spanned(
            value,
            "without an interval nobody would ever look: write a duration such as `\"500ms\"`, or leave it out for one second",
        )),
        DurationArg::Literal(_) | DurationArg::Expression(_) => Ok(limit),
    }
}

fn lock_timeout(value: &Expr) -> Result<DurationArg> {
    let limit = DurationArg::new(&LOCK_TIMEOUT, value.clone())?;
    match &limit {
        DurationArg::Literal(timeout) if timeout.is_zero() => Err(refuse_zero_timeout(value)),
        _ => Ok(limit),
    }
}

/// What is done to who is in the way.
enum SideEffect {
    /// One of pglock's own, by its name.
    Named(Ident),
    Expression(Expr),
}

impl SideEffect {
    fn new(value: Expr) -> Result<Self> {
        let fail = |message: String| Err(Error::new_spanned(&value, message));
        if let Some(text) = parse::text(&value) {
            return fail(format!(
                "a side effect is no string: write `{text}` without quotes"
            ));
        }
        let called = match parse::ungroup(&value) {
            Expr::Call(call) => parse::word(&call.func),
            _ => parse::word(&value),
        };
        match called.map(ToString::to_string).as_deref() {
            Some(word @ ("Terminate" | "Cancel" | "Escalate"))
                if matches!(parse::ungroup(&value), Expr::Call(_)) =>
            {
                fail(format!(
                    "what `{word}` spares is said by methods: write `pglock::{word}::new().filter(\"blocking_activity__state=IDLE\")?`"
                ))
            }
            Some(word @ ("Skip" | "Raise" | "Return" | "Panic")) => fail(format!(
                "`{word}` is a word of `#[pglock::advisory]`: here it is `Terminate`, `Cancel`, `Escalate`, or an expression that implements `PrioritizeSideEffect`"
            )),
            _ => Ok(match parse::word(&value) {
                Some(word) if word == "Terminate" || word == "Cancel" || word == "Escalate" => {
                    Self::Named(word.clone())
                }
                _ => Self::Expression(value),
            }),
        }
    }

    // Input:  side_effect = Cancel         side_effect = Page::new()
    // Output: ::pglock::__rt::Cancel       Page::new()
    fn expand(&self, krate: &Path) -> TokenStream {
        match self {
            Self::Named(name) => quote!(#krate::__rt::#name),
            Self::Expression(value) => quote!(#value),
        }
    }
}

impl Attribute for Args {
    fn krate(&self) -> Path {
        self.shared_options.krate_at(Span::call_site())
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
            |krate| self.builder(krate),
        )
    }
}

impl Args {
    // Input:  interval = "100ms", side_effect = Cancel
    // Output: ::pglock::__rt::prioritize()
    //             .interval(::core::time::Duration::new(0u64, 100000000u32))
    //             .side_effect(::pglock::__rt::Cancel)
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
