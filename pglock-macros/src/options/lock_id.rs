//! What a lock is called: a string, an integer, a pair, or an expression.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::{Error, Expr, ExprCall, ExprLit, ExprTuple, ExprUnary, Lit, LitInt, Path, Result, UnOp};

use crate::function::Function;
use crate::options::parse;
use crate::options::template::Template;
use crate::types;

pub(crate) enum LockId {
    Name(Template),
    Key(Literal),
    Pair(ExprTuple),
    Expression(Expr),
    /// `all("a", "b")`: several locks.
    All(Vec<LockId>),
}

impl LockId {
    pub(crate) fn new(value: Expr) -> Result<Self> {
        match parse::ungroup(&value) {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Template::parse(text.clone()).map(Self::Name),
            Expr::Tuple(tuple) => pair(tuple).map(Self::Pair),
            Expr::Call(call) if is_all(&call.func) => all(call).map(Self::All),
            inner => match (integer(inner)?, is_literal(inner)) {
                (Some(number), _) => key(inner, &number).map(Self::Key),
                (None, false) => Ok(Self::Expression(value)),
                (None, true) => Err(Error::new_spanned(
                    inner,
                    "this is not a lock ID: write a string, an integer, a pair of integers, or an expression",
                )),
            },
        }
    }

    pub(crate) fn validate(&self, function: &Function) -> Result<()> {
        match self {
            Self::Name(template) => template.validate(function),
            Self::Expression(value) => validate_argument(value, function),
            Self::Key(_) | Self::Pair(_) => Ok(()),
            Self::All(ids) => parse::combine(ids.iter().map(|id| id.validate(function))),
        }
    }

    // Input:  "invoices"    "invoices:{tenant}"                   -42       (1, 2)    KEY    all("a", KEY)
    // Output: "invoices"    ::std::format!("invoices:{}", ..)     -42i64    (1, 2)    KEY    [LockId::from("a"), LockId::from(KEY)]
    pub(crate) fn expand(&self, function: &Function, krate: &Path) -> TokenStream {
        match self {
            Self::Name(template) => template.expand(function, krate),
            Self::Key(number) => quote!(#number),
            Self::Pair(pair) => pair.to_token_stream(),
            Self::Expression(value) => value.to_token_stream(),
            Self::All(ids) => {
                let ids = ids.iter().map(|id| id.expand(function, krate));
                quote!([#(#krate::LockId::from(#ids)),*])
            }
        }
    }

    /// What the catalog says of it; none if it is decided at run time.
    // Input:  "invoices"            "invoices:{tenant}"                 -42              (1, 2)
    // Output: Name("invoices")      Template("invoices:{tenant}")       Key(-42i64)      Pair(1, 2)
    pub(crate) fn annotated(&self) -> Option<TokenStream> {
        match self {
            Self::Name(template) => {
                let label = template.label();
                Some(if template.is_name() {
                    quote!(Name(#label))
                } else {
                    quote!(Template(#label))
                })
            }
            Self::Key(number) => Some(quote!(Key(#number))),
            Self::Pair(pair) => {
                let mut numbers = pair.elems.iter();
                let (first, second) = (numbers.next()?, numbers.next()?);
                (is_literal(first) && is_literal(second)).then(|| quote!(Pair(#first, #second)))
            }
            Self::Expression(_) | Self::All(_) => None,
        }
    }

    /// The same of each, where there are several.
    // Input:  all("from-{from}", "to", KEY)
    // Output: [Template("from-{from}"), Name("to"), Unknown]
    pub(crate) fn annotated_all(&self) -> Vec<TokenStream> {
        let Self::All(ids) = self else {
            return Vec::new();
        };
        let annotated = ids.iter().map(Self::annotated);
        annotated
            .map(|id| id.unwrap_or_else(|| quote!(Unknown)))
            .collect()
    }

    // Input:  "invoices:{tenant}"    KEY, of `fn bill`
    // Output: "invoices:{tenant}"    ::core::concat!(::core::module_path!(), "::", "bill")
    pub(crate) fn expand_label(&self, function: &Function) -> TokenStream {
        match self {
            Self::Name(template) => {
                let label = template.label();
                quote!(#label)
            }
            Self::Key(_) | Self::Pair(_) | Self::Expression(_) => function.path(),
            Self::All(ids) => {
                labels(ids).map_or_else(|| function.path(), |labels| labels.to_token_stream())
            }
        }
    }
}

/// What is written of several names; `None` if others are among them.
fn labels(ids: &[LockId]) -> Option<String> {
    let label = |id: &LockId| match id {
        LockId::Name(template) => Some(template.label()),
        LockId::Key(_) | LockId::Pair(_) | LockId::Expression(_) | LockId::All(_) => None,
    };
    let labels: Option<Vec<_>> = ids.iter().map(label).collect();
    Some(labels?.join(", "))
}

fn is_all(called: &Expr) -> bool {
    parse::word(called).is_some_and(|word| word == "all")
}

fn all(call: &ExprCall) -> Result<Vec<LockId>> {
    if call.args.len() < 2 {
        return Err(Error::new_spanned(
            call,
            "`all(..)` takes several lock IDs, as in `all(\"account-{from}\", \"account-{to}\")`: for one lock write its ID alone, and for those of a `Vec` use `pglock::advisory_all(..)` by hand",
        ));
    }
    let inner = call.args.iter().map(|id| match parse::ungroup(id) {
        Expr::Call(inner) if is_all(&inner.func) => Err(Error::new_spanned(
            id,
            "`all(..)` inside `all(..)`: write the lock IDs side by side",
        )),
        _ => LockId::new(id.clone()),
    });
    inner.collect()
}

/// Refuses an argument that by its type cannot be an ID: its name is known here, and not where the compiler finds out.
fn validate_argument(value: &Expr, function: &Function) -> Result<()> {
    const NO_IDS: [&str; 6] = ["u64", "usize", "u128", "i128", "isize", "Uuid"];
    let argument = parse::word(value).filter(|name| function.bound_names().contains(name));
    let Some((name, (_, ty))) =
        argument.and_then(|name| Some((name, function.typed_argument(name)?)))
    else {
        return Ok(());
    };
    let Some(ty) = types::name(ty).filter(|ty| NO_IDS.contains(&ty.as_str())) else {
        return Ok(());
    };
    let function = function.sig.ident.unraw();
    Err(Error::new_spanned(
        value,
        format!(
            "a `{ty}` does not fit into the `i64` of a lock ID: write a name with it, as in `\"{function}-{{{}}}\"`",
            name.unraw()
        ),
    ))
}

fn key(blamed: &Expr, number: &str) -> Result<Literal> {
    let key = number
        .parse()
        .map_err(|_| Error::new_spanned(blamed, "this number is too large for a lock ID, which is an `i64`: write a smaller one, or a name in quotes"))?;
    Ok(Literal::i64_suffixed(key))
}

fn pair(tuple: &ExprTuple) -> Result<ExprTuple> {
    if tuple.elems.len() != 2 {
        return Err(Error::new_spanned(
            tuple,
            "a tuple used as a lock ID is a pair of `i32`: write `(1, 2)`",
        ));
    }
    for element in &tuple.elems {
        let inner = parse::ungroup(element);
        match integer(inner)? {
            Some(number) if number.parse::<i32>().is_err() => {
                return Err(Error::new_spanned(
                    inner,
                    "this number is too large for a pair of `i32`: write a smaller one, one `i64` instead of the pair, or a name in quotes",
                ));
            }
            None if is_literal(inner) => {
                return Err(Error::new_spanned(
                    inner,
                    "a pair used as a lock ID is two `i32`: write `(1, 2)`",
                ));
            }
            _ => {}
        }
    }
    Ok(tuple.clone())
}

/// The digits of an integer literal, with their sign.
fn integer(value: &Expr) -> Result<Option<String>> {
    let (sign, literal) = match value {
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => ("-", parse::ungroup(expr)),
        other => ("", other),
    };
    match literal {
        Expr::Lit(ExprLit {
            lit: Lit::Int(number),
            ..
        }) => check_suffix(number).map(|()| Some(format!("{sign}{}", number.base10_digits()))),
        _ => Ok(None),
    }
}

fn check_suffix(number: &LitInt) -> Result<()> {
    match number.suffix() {
        "" | "i64" | "i32" => Ok(()),
        suffix => Err(Error::new(
            number.span(),
            format!("a lock ID is an `i64`: write the number without `{suffix}`"),
        )),
    }
}

fn is_literal(value: &Expr) -> bool {
    match value {
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => is_literal(parse::ungroup(expr)),
        other => matches!(other, Expr::Lit(_)),
    }
}
