//! The options `hold_at_least` and `hold_at_most`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, Result};

use crate::function::Function;
use crate::options::duration::{DurationArg, Hints};
use crate::options::parse::{self, Spanned};

const AT_LEAST: Hints = Hints {
    example: |duration| format!("hold_at_least = \"{duration}\""),
    least: "leave it out",
    may_be_none: false,
};

const AT_MOST: Hints = Hints {
    example: |duration| format!("hold_at_most = \"{duration}\""),
    least: "leave it out",
    may_be_none: false,
};

/// Bounds on how long the lock is held.
#[derive(Default)]
pub(super) struct HoldLimits {
    pub(super) at_least: Option<Spanned<DurationArg>>,
    pub(super) at_most: Option<Spanned<DurationArg>>,
}

impl HoldLimits {
    /// `elsewhere` is the option, if there is one, because of which no limit can be kept: `client` or `xact`.
    pub(super) fn validate(
        &self,
        function: &Function,
        elsewhere: Option<&'static str>,
    ) -> Result<()> {
        parse::combine([
            self.refuse(elsewhere),
            self.refuse_at_most_without_async(function),
            self.refuse_least_above_most(),
        ])
    }

    fn refuse(&self, elsewhere: Option<&'static str>) -> Result<()> {
        let Some(elsewhere) = elsewhere else {
            return Ok(());
        };
        let each = [
            ("hold_at_least", &self.at_least),
            ("hold_at_most", &self.at_most),
        ];
        parse::combine(each.map(|(name, limit)| match limit {
            None => Ok(()),
            Some(limit) => Err(Error::new(
                limit.span,
                match elsewhere {
                    "client" => format!(
                        "with `client` the lock is on a connection that goes back to the caller, so `{name}` cannot be kept: remove `client` to take the lock on a session of pglock's own, or remove `{name}`"
                    ),
                    _ => format!(
                        "with `xact` the end of the transaction releases the lock, so `{name}` cannot be kept: remove `xact` to take a session lock, or remove `{name}`"
                    ),
                },
            )),
        }))
    }

    fn refuse_at_most_without_async(&self, function: &Function) -> Result<()> {
        match &self.at_most {
            Some(limit) if function.sig.asyncness.is_none() => Err(Error::new(
                limit.span,
                "a plain `fn` cannot be stopped, and another run would overlap it if its lock were released: make it an `async fn`, which can be dropped at an await (if it is one, put the attribute that makes a plain `fn` of it below this one), or remove `hold_at_most` and limit how long the body waits, as with `statement_timeout`",
            )),
            _ => Ok(()),
        }
    }

    fn refuse_least_above_most(&self) -> Result<()> {
        match (&self.at_least, &self.at_most) {
            (
                Some(Spanned {
                    value: DurationArg::Literal(least),
                    span,
                }),
                Some(Spanned {
                    value: DurationArg::Literal(most),
                    ..
                }),
            ) if least > most => Err(Error::new(
                *span,
                "the lock cannot be held for longer than `hold_at_most`: write a shorter `hold_at_least` or a longer `hold_at_most`",
            )),
            _ => Ok(()),
        }
    }

    // Expansion: expansions/async_fn.rs
    pub(super) fn expand(&self, mut builder: TokenStream) -> TokenStream {
        if let Some(Spanned { value, .. }) = &self.at_least {
            let limit = value.expand();
            builder = quote!(#builder.hold_at_least(#limit));
        }
        if let Some(Spanned { value, .. }) = &self.at_most {
            let limit = value.expand();
            builder = quote!(#builder.hold_at_most(#limit));
        }
        builder
    }
}

pub(super) fn at_least(value: Expr) -> Result<DurationArg> {
    DurationArg::above_zero("hold_at_least", &AT_LEAST, value)
}

pub(super) fn at_most(value: Expr) -> Result<DurationArg> {
    DurationArg::above_zero("hold_at_most", &AT_MOST, value)
}
