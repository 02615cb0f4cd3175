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
    /// `None`: without a timeout.
    Unlimited,
    /// A literal.
    Literal(Duration),
    /// Decided at run time.
    Expression(Expr),
}

/// What the messages about a wrong duration say for one option.
pub(crate) struct Hints {
    /// The option with a duration: `timeout = "2s"` for `2s`.
    pub(crate) example: fn(&str) -> String,
    /// The alternative to a duration that is too short, as in "or `0` to try once".
    pub(crate) least: &'static str,
    /// Whether the option can be `None`.
    pub(crate) may_be_none: bool,
}

impl DurationArg {
    /// Reads a literal; any other expression is checked at run time.
    pub(crate) fn new(hints: &Hints, value: Expr) -> Result<Self> {
        if parse::word(&value).is_some_and(|word| word == "None") {
            return Ok(Self::Unlimited);
        }
        let read = match parse::ungroup(&value) {
            Expr::Lit(ExprLit { lit, .. }) => read_literal(lit).and_then(check_bounds),
            Expr::Unary(ExprUnary {
                op: UnOp::Neg(_),
                expr,
                ..
            }) if matches!(parse::ungroup(expr), Expr::Lit(_)) => Err(Mistake::Negative),
            _ => return Ok(Self::Expression(value)),
        };
        read.map(Self::Literal)
            .map_err(|mistake| Error::new_spanned(&value, mistake.message(hints)))
    }

    /// The same for the option `name`, which can be neither zero nor `None`.
    pub(crate) fn above_zero(name: &str, hints: &Hints, value: Expr) -> Result<Self> {
        let mistake = match Self::new(hints, value.clone())? {
            Self::Literal(duration) if duration.is_zero() => {
                format!(
                    "`{name}` cannot be zero: write `\"1ms\"` or more, or {}",
                    hints.least
                )
            }
            Self::Unlimited => format!(
                "`{name}` cannot be `None`: write a duration, as in `{}`, or {}",
                (hints.example)("2s"),
                hints.least
            ),
            duration => return Ok(duration),
        };
        Err(Error::new_spanned(value, mistake))
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

/// What is wrong with a literal.
enum Mistake {
    /// Why it cannot be parsed.
    NotADuration(String),
    /// The literal, such as `2s`.
    WithoutQuotes(String),
    Negative,
    TooShort,
    TooLong,
}

impl<E: std::error::Error> From<E> for Mistake {
    fn from(error: E) -> Self {
        Self::NotADuration(error.to_string())
    }
}

fn read_literal(literal: &Lit) -> std::result::Result<Duration, Mistake> {
    match literal {
        Lit::Str(text) => Ok(humantime::parse_duration(&text.value())?),
        Lit::Int(number) if number.suffix().is_empty() => {
            Ok(Duration::from_secs(number.base10_parse()?))
        }
        Lit::Float(number) if number.suffix().is_empty() => {
            Ok(Duration::try_from_secs_f64(number.base10_parse()?)?)
        }
        Lit::Int(_) | Lit::Float(_) => Err(Mistake::WithoutQuotes(quote!(#literal).to_string())),
        _ => Err(Mistake::NotADuration(
            "expected a string or a number".to_owned(),
        )),
    }
}

fn check_bounds(duration: Duration) -> std::result::Result<Duration, Mistake> {
    if duration > LONGEST {
        Err(Mistake::TooLong)
    } else if !duration.is_zero() && duration < SHORTEST {
        Err(Mistake::TooShort)
    } else {
        Ok(duration)
    }
}

impl Mistake {
    fn message(&self, hints: &Hints) -> String {
        let Hints {
            example,
            least,
            may_be_none,
        } = hints;
        match self {
            Self::NotADuration(reason) => format!(
                "this is not a duration: write `{}`, `\"1m 30s\"`, or a number of seconds{} ({reason})",
                example("2s"),
                if *may_be_none { ", or `None`" } else { "" }
            ),
            Self::WithoutQuotes(literal) => format!(
                "write a duration with a unit in quotes: `{}`",
                example(literal)
            ),
            Self::Negative => {
                format!("a duration cannot be negative: write `\"1ms\"` or more, or {least}")
            }
            Self::TooShort => format!(
                "this is too short: Postgres counts milliseconds; write `\"1ms\"` or more, or {least}"
            ),
            Self::TooLong if *may_be_none => {
                "this is too long: Postgres waits for at most 24 days; write `None` to wait without a timeout".to_owned()
            }
            Self::TooLong => "this is too long: write at most 24 days".to_owned(),
        }
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
            ("-1", "cannot be negative"),
            ("-0.5", "cannot be negative"),
            ("-\"2s\"", "cannot be negative"),
            ("\"-2s\"", "this is not a duration"),
            ("\"\"", "this is not a duration"),
            ("\"2\"", "this is not a duration"),
            ("true", "this is not a duration"),
            ("1e400", "this is not a duration"),
            ("99999999999999999999", "this is not a duration"),
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
