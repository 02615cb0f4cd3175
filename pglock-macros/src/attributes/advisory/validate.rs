//! What `#[pglock::advisory]` refuses.

use proc_macro2::Span;
use syn::{Error, Result};

use super::args::Args;
use super::side_effect::AdvisorySideEffect;
use crate::attributes::named_lock;
use crate::function::Function;
use crate::options::duration::DurationArg;
use crate::options::lock_id::LockId;
use crate::options::on_error::OnError;
use crate::options::parse::{self, Spanned};

impl Args {
    /// Reports all that is wrong with the options, on `function`, at once.
    pub(super) fn validate_all(&self, function: &Function) -> Result<()> {
        parse::combine([
            named_lock::validate(
                match &self.permits {
                    Some(_) => "limit(3, ",
                    None => "advisory(",
                },
                self.lock_id.as_ref(),
                function,
            ),
            self.validate_permits(),
            self.validate_several(),
            self.validate_rules(),
            self.validate_side_effect(),
            self.hold_limits.validate(function, self.elsewhere()),
            self.validate_client(function),
            self.validate_dedicated(),
            self.validate_reentrant(),
            OnError::validate(self.shared_options.on_error(), function),
        ])
    }

    /// A wait without a timeout never skips.
    fn validate_side_effect(&self) -> Result<()> {
        let effect = match self.side_effect() {
            AdvisorySideEffect::Skip(effect) | AdvisorySideEffect::SkipWith { effect, .. } => {
                effect
            }
            AdvisorySideEffect::Raise => return Ok(()),
        };
        match self.timeout.as_ref().map(|timeout| &timeout.value) {
            Some(DurationArg::Literal(_) | DurationArg::Expression(_)) => Ok(()),
            Some(DurationArg::Unlimited) | None => Err(Error::new_spanned(
                effect,
                "without a timeout, a call waits and never skips: add `timeout = 0` to try once, or a duration such as `timeout = \"2s\"`",
            )),
        }
    }

    /// A permit is held by one, on a session of pglock's own.
    fn validate_permits(&self) -> Result<()> {
        if self.permits.is_none() {
            return Ok(());
        }
        let refuse = |option: &str, span: Option<Span>, why: &str| match span {
            Some(span) => Err(Error::new(span, format!("{why}: remove `{option}`"))),
            None => Ok(()),
        };
        let own_session = "a permit is on a session of pglock's own";
        let span_of = |flag: &Option<Spanned<bool>>| flag.as_ref().map(|flag| flag.span);
        let client = self.shared_options.client.as_ref();
        parse::combine([
            refuse(
                "shared",
                span_of(&self.shared),
                "a permit has one holder, and more can be allowed by the number",
            ),
            refuse("xact", span_of(&self.xact), own_session),
            refuse("client", client.map(|client| client.span), own_session),
        ])
    }

    /// Several locks are on sessions of pglock's own.
    fn validate_several(&self) -> Result<()> {
        let why = match (&self.permits, self.elsewhere()) {
            (Some(_), _) => "a limit has one name",
            (None, Some("client")) => "on the connection of `client` locks are taken one by one",
            (None, Some(_)) => "in a transaction locks are taken one by one",
            (None, None) => return Ok(()),
        };
        named_lock::refuse_several(self.lock_id.as_ref(), why)
    }

    /// More is done with one lock on a session of pglock's own only, and with tokens only if it has one holder.
    fn validate_rules(&self) -> Result<()> {
        let is_for_several = matches!(
            self.lock_id.as_ref().map(|lock_id| &lock_id.value),
            Some(LockId::All(_))
        );
        let shared_token = match self.fenced() {
            Some(fenced) if self.is_shared() => Err(Error::new(
                fenced.span,
                "of two that hold a shared lock at the same time, the one with the smaller token would be refused where the work goes: remove `fenced` or `shared`",
            )),
            _ => Ok(()),
        };
        let why = match self.elsewhere() {
            _ if self.permits.is_some() => "a limit has several permits, and this is for one lock",
            _ if is_for_several => "`all(..)` takes several locks, and this is for one",
            Some("client") => "a lock on the connection of `client` cannot have this",
            Some(_) => "a lock that ends with its transaction cannot have this",
            None => return shared_token,
        };
        let refuse = |option: &str, span: Option<Span>| match span {
            Some(span) => Err(Error::new(span, format!("{why}: remove `{option}`"))),
            None => Ok(()),
        };
        parse::combine([
            refuse("once_in", self.once_in.as_ref().map(|period| period.span)),
            refuse("fenced", self.fenced().map(|fenced| fenced.span)),
        ])
    }

    /// Other locks have a session of their own anyway.
    fn validate_dedicated(&self) -> Result<()> {
        let reason = match self.elsewhere() {
            Some("client") => "the lock is taken on the connection of `client`",
            Some(_) => "an `xact` lock has a session of its own anyway",
            None => return Ok(()),
        };
        match self.dedicated() {
            Some(dedicated) => Err(Error::new(
                dedicated.span,
                format!("{reason}: remove `dedicated`"),
            )),
            None => Ok(()),
        }
    }

    fn validate_reentrant(&self) -> Result<()> {
        match (self.not_reentrant(), self.client()) {
            (Some(reentrant), Some(_)) => Err(Error::new(
                reentrant.span,
                "the lock is taken on the connection of `client`, whose locks calls do not share: remove `reentrant`",
            )),
            _ => Ok(()),
        }
    }

    fn validate_client(&self, function: &Function) -> Result<()> {
        match (&self.shared_options.client, &self.using) {
            (Some(_), Some(using)) => Err(Error::new(
                using.span,
                "the lock is taken in the database of `client`: remove `using`",
            )),
            (Some(client), None) => {
                client.value.validate(function)?;
                // In a transaction its end releases the lock, and not the attribute.
                if self.is_xact() {
                    return Ok(());
                }
                client.value.validate_returned(function)
            }
            (None, _) => Ok(()),
        }
    }
}
