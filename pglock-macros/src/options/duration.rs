//! Duration literals: `"2s"`, `2`, `0.5`, and how long Postgres can wait.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::{Error, Expr, ExprLit, ExprUnary, Lit, Result, UnOp};

use crate::options::parse;

/// The shortest time above zero, and the longest, that Postgres can express.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// How long to wait.
pub(crate) enum DurationArg {
    /// `None`: for ever.
    Unlimited,
    /// A literal.
    Literal(Duration),
    /// Decided at run time.
    Expression(Expr),
}

/// What to tell who wrote a duration that won't do.
pub(crate) struct Hints {
    /// What one can be written like.
    pub(crate) example: fn(&str) -> String,
    /// What to write for the least there is.
    pub(crate) least: &'static str,
    /// Whether `None` says something.
    pub(crate) may_be_none: bool,
}

impl DurationArg {
    /// Takes a value apart; what is no literal is left to the run time.
    pub(crate) fn new(hints: &Hints, value: Expr) -> Result<Self> {
        if parse::word(&value).is_some_and(|word| word == "None") {
            return Ok(Self::Unlimited);
        }
        match literal(hints, &value)? {
            Some(duration) => Ok(Self::Literal(duration)),
            None => Ok(Self::Expression(value)),
        }
    }

    // Input:  timeout = "2s"
    // Output: ::core::time::Duration::new(2u64, 0u32)
    pub(crate) fn expand(&self) -> TokenStream {
        match self {
            Self::Unlimited => quote!(::core::option::Option::None::<::core::time::Duration>),
            Self::Literal(duration) => {
                let (seconds, nanoseconds) = (duration.as_secs(), duration.subsec_nanos());
                quote!(::core::time::Duration::new(#seconds, #nanoseconds))
            }
            Self::Expression(value) => value.to_token_stream(),
        }
    }
}

/// The duration that a literal says, or nothing when `value` is no literal.
fn literal(hints: &Hints, value: &Expr) -> Result<Option<Duration>> {
    let Hints {
        example,
        least,
        may_be_none,
    } = hints;
    let fail = |message: String| Err(Error::new_spanned(value, message));
    match parse::ungroup(value) {
        Expr::Lit(ExprLit { lit, .. }) => {
            let duration = match lit {
                Lit::Str(text) => {
                    humantime::parse_duration(&text.value()).map_err(|error| error.to_string())
                }
                Lit::Int(number) if number.suffix().is_empty() => number
                    .base10_parse()
                    .map(Duration::from_secs)
                    .map_err(|error| error.to_string()),
                Lit::Float(number) if number.suffix().is_empty() => number
                    .base10_parse::<f64>()
                    .map_err(|error| error.to_string())
                    .and_then(|seconds| {
                        Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
                    }),
                Lit::Int(_) | Lit::Float(_) => {
                    return fail(format!(
                        "write a duration with a unit in quotes: `{}`",
                        example(&quote!(#lit).to_string())
                    ));
                }
                _ => Err("expected a string or a number".to_owned()),
            };
            match duration {
                Ok(duration) if duration > LONGEST => fail(if *may_be_none {
                    "this is too long: Postgres waits for 24 days at most; write `None` to wait for ever".to_owned()
                } else {
                    "this is too long: write 24 days at most".to_owned()
                }),
                Ok(duration) if !duration.is_zero() && duration < SHORTEST => fail(format!(
                    "this is too short: Postgres counts milliseconds; write `\"1ms\"` or more, or {least}"
                )),
                Ok(duration) => Ok(Some(duration)),
                Err(reason) => fail(format!(
                    "this is no duration: write `{}`, `\"1m 30s\"`, or a number of seconds{} ({reason})",
                    example("2s"),
                    if *may_be_none { ", or `None`" } else { "" }
                )),
            }
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) if matches!(parse::ungroup(expr), Expr::Lit(_)) => fail(format!(
            "a duration can't be negative: write `\"1ms\"` or more, or {least}"
        )),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINTS: Hints = Hints {
        example: |duration| format!("timeout = \"{duration}\""),
        least: "`0` to try once",
        may_be_none: true,
    };

    fn parsed(value: &str) -> std::result::Result<Option<Duration>, String> {
        match DurationArg::new(&HINTS, syn::parse_str(value).unwrap()) {
            Ok(DurationArg::Literal(duration)) => Ok(Some(duration)),
            Ok(DurationArg::Unlimited) => Ok(None),
            Ok(DurationArg::Expression(_)) => Err("an expression".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn literals() {
        for (literal, milliseconds) in [
            ("\"2s\"", 2_000),
            ("\"1m 30s\"", 90_000),
            ("\"0\"", 0),
            ("0", 0),
            ("2", 2_000),
            ("0x10", 16_000),
            ("0.5", 500),
            ("0.001", 1),
            ("\"2147483647ms\"", 2_147_483_647),
            ("((2))", 2_000),
        ] {
            assert_eq!(
                parsed(literal),
                Ok(Some(Duration::from_millis(milliseconds))),
                "{literal}"
            );
        }
        assert_eq!(parsed("None"), Ok(None));
    }

    #[test]
    fn expressions_are_for_the_run_time() {
        for expression in [
            "TIMEOUT",
            "Some(TIMEOUT)",
            "-TIMEOUT",
            "2 * SECOND",
            "Option::None",
        ] {
            assert_eq!(
                parsed(expression),
                Err("an expression".to_owned()),
                "{expression}"
            );
        }
    }

    #[test]
    fn mistakes() {
        for (literal, message) in [
            ("-1", "can't be negative"),
            ("-0.5", "can't be negative"),
            ("-\"2s\"", "can't be negative"),
            ("\"-2s\"", "this is no duration"),
            ("\"\"", "this is no duration"),
            ("\"2\"", "this is no duration"),
            ("true", "this is no duration"),
            ("1e400", "this is no duration"),
            ("99999999999999999999", "this is no duration"),
            ("2s", "`timeout = \"2s\"`"),
            ("1.5h", "`timeout = \"1.5h\"`"),
            ("\"999us\"", "too short"),
            ("0.0009", "too short"),
            ("2147483.648", "too long"),
            ("\"1year\"", "too long"),
        ] {
            let error = parsed(literal).unwrap_err();
            assert!(error.contains(message), "{literal}: {error}");
        }
    }
}
