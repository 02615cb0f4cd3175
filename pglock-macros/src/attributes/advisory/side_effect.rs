//! The `side_effect` option.

use syn::{Error, Expr, Result};

use crate::options::{parse, suggest};

/// What a call does when the lock is still busy after its timeout.
pub(crate) enum AdvisorySideEffect {
    Raise,
    /// `Skip`: the expression, which compile errors point to.
    Skip(Expr),
    /// `Skip(value)`: `effect` is the word `Skip`.
    SkipWith {
        effect: Expr,
        value: Expr,
    },
}

/// The words that can stand alone.
pub(super) const WORDS: [&str; 2] = ["Raise", "Skip"];

impl AdvisorySideEffect {
    pub(crate) fn new(value: Expr) -> Result<Self> {
        let fail = |message: &str| Err(Error::new_spanned(&value, message));
        if let Some(text) = parse::text(&value) {
            return fail(&match suggest::word(&text, &WORDS) {
                Some(word) => format!(
                    "a side effect is a word, not a string: write `side_effect = {word}`, without quotes"
                ),
                None => "a side effect is a word, not a string: write `Raise`, `Skip` or `Skip(value)`, without quotes".to_owned(),
            });
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
            word => match word.and_then(|word| suggest::word(word, &WORDS)) {
                Some(meant) => fail(&format!("unknown side effect: did you mean `{meant}`?")),
                None => fail("unknown side effect: write `Raise`, `Skip` or `Skip(value)`"),
            },
        }
    }
}
