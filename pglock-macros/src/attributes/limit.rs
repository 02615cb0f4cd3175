//! `#[pglock::limit]`: how many at once, and then the options of `#[pglock::advisory]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, ExprUnary, Lit, LitInt, Result, Token, UnOp};

use super::Attribute;
use super::advisory::Args;
use crate::options::parse;

/// The most permits of a limit, as the runtime has it.
const MOST: u32 = 1_000;

/// Reads the attribute's arguments.
pub(crate) fn read(arguments: TokenStream) -> Result<Box<dyn Attribute>> {
    let Arguments { permits, lock } = syn::parse2(arguments)?;
    Ok(Box::new(lock.with_permits(permits)))
}

struct Arguments {
    permits: Expr,
    lock: Args,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "how many may run at once comes first: write a number, as in `#[pglock::limit(3)]`",
            ));
        }
        let permits = permits(input.parse()?, input)?;
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(Self {
            permits,
            lock: input.parse()?,
        })
    }
}

/// The number of permits, which the runtime checks where it is not a literal.
fn permits(value: Expr, rest: ParseStream<'_>) -> Result<Expr> {
    let refuse = |why: &str| Err(Error::new_spanned(&value, why));
    match parse::ungroup(&value) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => match number.base10_parse::<u32>() {
            Ok(0) => refuse("with no permits it would never run: write a number from 2 to 1,000"),
            Ok(1) => refuse("for one at a time write `#[pglock::advisory]`"),
            Ok(2..=MOST) => Ok(value),
            _ => refuse("a limit has from 2 to 1,000 permits"),
        },
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) if matches!(parse::ungroup(expr), Expr::Lit(_)) => {
            refuse("a limit has from 2 to 1,000 permits")
        }
        Expr::Lit(_) | Expr::Assign(_) | Expr::Tuple(_) => {
            let in_order = in_order(&value, rest);
            refuse(&format!(
                "how many may run at once comes first, without a name: write `limit({in_order})`"
            ))
        }
        _ => Ok(value),
    }
}

// Input:  "sms", 5, timeout = "1m"    max = 5, "sms"    timeout = "1m"
// Output: 5, "sms", timeout = "1m"    5, "sms"          3, timeout = "1m"
//
/// What was written, with the number first.
fn in_order(first: &Expr, rest: ParseStream<'_>) -> String {
    let _ = rest.parse::<Token![,]>();
    let rest = rest
        .parse_terminated(Expr::parse, Token![,])
        .unwrap_or_default();
    let (mut number, mut others) = (None, String::new());
    for argument in std::iter::once(first).chain(&rest) {
        match number_of(argument).filter(|_| number.is_none()) {
            Some(written) => number = Some(written),
            None => others.extend([", ".to_owned(), parse::source(argument)]),
        }
    }
    let number = number.map_or_else(|| "3".to_owned(), ToString::to_string);
    number + &others
}

/// The number in `5`, and in `max = 5` of whatever name that is no option's.
fn number_of(argument: &Expr) -> Option<&LitInt> {
    match parse::ungroup(argument) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => Some(number),
        Expr::Assign(assign) => {
            let name = parse::word(&assign.left)?.to_string();
            (!Args::is_option(&name)).then(|| number_of(&assign.right))?
        }
        _ => None,
    }
}
