//! `#[pglock::advisory]`: what it takes, what it refuses, and (in [`expand`]) what it becomes.

mod expand;
mod hold_limits;
mod side_effect;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Ident, Path, Result, Token};

use self::expand::Expansion;
use self::hold_limits::HoldLimits;
use self::side_effect::SideEffect;
use crate::attributes::Attribute;
use crate::function::Function;
use crate::options::client::Client;
use crate::options::duration::{DurationArg, Hints};
use crate::options::lock_id::LockId;
use crate::options::on_error::OnError;
use crate::options::parse::{self, Options, Spanned, set_once};
use crate::options::shared::SharedOptions;

const OPTIONS: &Options = &[
    ("lock_id", "lock_id = \"invoices\""),
    ("timeout", "timeout = \"2s\""),
    ("side_effect", "side_effect = Skip"),
    ("hold_at_least", "hold_at_least = \"30s\""),
    ("hold_at_most", "hold_at_most = \"10m\""),
    ("shared", "shared"),
    ("xact", "xact"),
    ("using", "using = \"reports\""),
    ("client", "client = conn"),
    ("on_error", "on_error = Panic"),
    ("crate", "crate = my_crate::pglock"),
];

const WAIT: Hints = Hints {
    example: |duration| format!("timeout = \"{duration}\""),
    least: "`0` to try once",
    may_be_none: true,
};

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let args: Args = syn::parse2(arguments)?;
    Ok(Box::new(args))
}

#[derive(Default)]
struct Args {
    lock_id: Option<Spanned<LockId>>,
    timeout: Option<Spanned<DurationArg>>,
    side_effect: Option<Spanned<SideEffect>>,
    hold_limits: HoldLimits,
    shared: Option<Spanned<bool>>,
    xact: Option<Spanned<bool>>,
    using: Option<Spanned<Expr>>,
    shared_options: SharedOptions,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut args = Self::default();
        while !input.is_empty() {
            match parse::option_name(input, OPTIONS)? {
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
        let value = || parse::value::<Expr>(input, name, OPTIONS);
        match option.as_str() {
            "lock_id" => set_once(&mut self.lock_id, &option, LockId::new(value()?)?, span),
            "timeout" => set_once(
                &mut self.timeout,
                &option,
                DurationArg::new(&WAIT, value()?)?,
                span,
            ),
            "side_effect" => set_once(
                &mut self.side_effect,
                &option,
                SideEffect::new(value()?)?,
                span,
            ),
            "hold_at_least" => self.hold_limits.set_at_least(&value()?, span),
            "hold_at_most" => self.hold_limits.set_at_most(&value()?, span),
            "shared" => set_once(&mut self.shared, &option, parse::flag(input, name)?, span),
            "xact" => set_once(&mut self.xact, &option, parse::flag(input, name)?, span),
            "using" => set_once(&mut self.using, &option, value()?, span),
            _ => self.shared_options.parse_option(name, input, OPTIONS),
        }
    }

    fn parse_positional(&mut self, input: ParseStream<'_>) -> Result<()> {
        let value: Expr = input.parse()?;
        if self.lock_id.is_some() {
            let names = parse::names(OPTIONS);
            return Err(Error::new_spanned(
                value,
                format!(
                    "only the lock ID has no name, and it is given already: write `name = ..` with one of {names}"
                ),
            ));
        }
        let span = value.span();
        set_once(&mut self.lock_id, "lock_id", LockId::new(value)?, span)
    }
}

impl Attribute for Args {
    fn krate(&self) -> Path {
        self.shared_options.krate_at(Span::call_site())
    }

    fn has_default_id(&self) -> bool {
        self.lock_id.is_none()
    }

    fn validate(&self, function: &Function) -> Result<()> {
        parse::all([
            self.validate_lock_id(function),
            self.validate_side_effect(),
            self.hold_limits.validate(function, self.elsewhere()),
            self.validate_client(function),
            OnError::validate(self.shared_options.on_error(), function),
        ])
    }

    fn expand(&self, function: &Function, body: &TokenStream) -> TokenStream {
        Expansion::new(self, function).statements(body)
    }
}

impl Args {
    fn side_effect(&self) -> &SideEffect {
        self.side_effect
            .as_ref()
            .map_or(&SideEffect::Raise, |effect| &effect.value)
    }

    fn client(&self) -> Option<&Client> {
        self.shared_options
            .client
            .as_ref()
            .map(|client| &client.value)
    }

    fn is_xact(&self) -> bool {
        self.xact.as_ref().is_some_and(|xact| xact.value)
    }

    /// The option that has the lock taken elsewhere than in a session of pglock's own.
    fn elsewhere(&self) -> Option<&'static str> {
        match &self.shared_options.client {
            Some(_) => Some("client"),
            None => self.is_xact().then_some("xact"),
        }
    }

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
        let effect = match self.side_effect() {
            SideEffect::Skip(effect) | SideEffect::SkipWith { effect, .. } => effect,
            SideEffect::Raise => return Ok(()),
        };
        match self.timeout.as_ref().map(|timeout| &timeout.value) {
            Some(DurationArg::Literal(_) | DurationArg::Expression(_)) => Ok(()),
            Some(DurationArg::Unlimited) | None => Err(Error::new_spanned(
                effect,
                "without a timeout nothing is ever skipped: add `timeout = 0` to try once, or a time such as `timeout = \"2s\"`",
            )),
        }
    }

    fn validate_client(&self, function: &Function) -> Result<()> {
        match (&self.shared_options.client, &self.using) {
            (Some(_), Some(using)) => Err(Error::new(
                using.span,
                "the connection of `client` says where the lock is: remove `using`",
            )),
            (Some(client), None) => client.value.validate(function),
            (None, _) => Ok(()),
        }
    }
}
