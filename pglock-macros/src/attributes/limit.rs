//! `#[pglock::limit]`: how many at once, and then the options of `#[pglock::advisory]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Lit, Result, Token};

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
        let permits = permits(input.parse()?)?;
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
fn permits(value: Expr) -> Result<Expr> {
    let refuse = |why: &str| Err(Error::new_spanned(&value, why));
    let first = || {
        let written = parse::source(&value);
        format!("how many may run at once comes first: write `limit(3, {written})`")
    };
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
        Expr::Lit(_) | Expr::Assign(_) | Expr::Tuple(_) => refuse(&first()),
        _ => Ok(value),
    }
}
