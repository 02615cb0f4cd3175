//! The `side_effect` option.

use syn::{Error, Expr, Result};

use crate::options::parse;

/// What happens when the lock is not had in time.
pub(crate) enum SideEffect {
    Raise,
    /// `Skip`, with these tokens.
    Skip(Expr),
    /// `Skip(value)`
    SkipWith {
        effect: Expr,
        value: Expr,
    },
}

impl SideEffect {
    pub(crate) fn new(value: Expr) -> Result<Self> {
        let fail = |message: &str| Err(Error::new_spanned(&value, message));
        if let Some(text) = parse::text(&value) {
            return fail(&format!(
                "a side effect is no string: write `{text}` without quotes"
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
                    "`Skip(..)` takes one value, all that the function returns: write `Skip`, `Skip(value)` or `Skip((a, b))`",
                ),
            };
        }
        match parse::word(&value).map(ToString::to_string).as_deref() {
            Some("Raise") => Ok(Self::Raise),
            Some("Skip") => Ok(Self::Skip(value)),
            Some("Return") => fail(
                "to be told whether the lock was had, call `pglock::advisory(..).try_acquire()`; to run only with it, write `Skip`",
            ),
            Some("Panic") => {
                fail("what an error becomes is `on_error`'s: write `on_error = Panic`")
            }
            Some(word @ ("Terminate" | "Cancel" | "Escalate")) => fail(&format!(
                "`{word}` is a side effect of `#[pglock::prioritize]`: here it is `Raise`, `Skip` or `Skip(value)`"
            )),
            _ => fail("unknown side effect: expected `Raise`, `Skip` or `Skip(value)`"),
        }
    }
}
