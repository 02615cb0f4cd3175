//! The `side_effect` option.

use syn::{Error, Expr, Result};

use crate::options::parse;

/// What happens when the lock is not had in time.
pub(crate) enum AdvisorySideEffect {
    Raise,
    /// `Skip`, with these tokens.
    Skip(Expr),
    /// `Skip(value)`
    SkipWith {
        effect: Expr,
        value: Expr,
    },
}

impl AdvisorySideEffect {
    pub(crate) fn new(value: Expr) -> Result<Self> {
        let fail = |message: &str| Err(Error::new_spanned(&value, message));
        if let Some(text) = parse::text(&value) {
            return fail(&format!(
                "a side effect is not a string: write `{text}` without quotes"
            ));
        }
        if let Expr::Call(call) = parse::ungroup(&value)
            && parse::word(&call.func).is_some_and(|word| word == "Skip")
        {
            return match call.args.iter().collect::<Vec<_>>()[..] {
                [skipped] => Ok(Self::SkipWith {
                    effect: (*call.func).clone(),
                    value: skipped.clone(),
                }),
                _ => fail(
                    "`Skip(..)` takes one value, the function's whole return value: write `Skip`, `Skip(value)` or `Skip((a, b))`",
                ),
            };
        }
        match parse::word(&value).map(ToString::to_string).as_deref() {
            Some("Raise") => Ok(Self::Raise),
            Some("Skip") => Ok(Self::Skip(value)),
            Some("Return") => fail(
                "to learn whether the lock was acquired, call `pglock::advisory(..).try_acquire()`; to run only when it was, write `Skip`",
            ),
            Some("Panic") => fail("`Panic` is a value of `on_error`: write `on_error = Panic`"),
            Some(word @ ("Terminate" | "Cancel" | "Escalate")) => fail(&format!(
                "`{word}` belongs to `#[pglock::prioritize]`: write `Raise`, `Skip` or `Skip(value)`"
            )),
            _ => fail("unknown side effect: expected `Raise`, `Skip` or `Skip(value)`"),
        }
    }
}
