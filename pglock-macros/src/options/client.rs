//! The `client` option: the connection of the caller's that an attribute works on.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{
    Error, Expr, ExprField, ExprIndex, ExprReference, ExprUnary, FnArg, Ident, Pat, Result,
    ReturnType, Type, UnOp,
};

use crate::function::Function;
use crate::options::{parse, suggest};
use crate::types;

#[derive(Clone)]
pub(crate) enum Client {
    /// `client = conn`
    Argument(Ident),
    /// `client = self.db`: the place, and the `self` or argument that it begins with.
    Place { place: Expr, root: Ident },
}

impl Client {
    pub(crate) fn new(value: Expr) -> Result<Self> {
        let inner = parse::ungroup(&value);
        if let Expr::Path(path) = inner
            && let Some(name) = path.path.get_ident()
            && name != "self"
        {
            return Ok(Self::Argument(name.clone()));
        }
        match (inner, root(inner)) {
            (Expr::Field(_) | Expr::Index(_) | Expr::Unary(_), Some(root)) => Ok(Self::Place {
                root: root.clone(),
                place: value,
            }),
            (Expr::Reference(ExprReference { expr, .. }), _) => {
                let place = parse::source(expr);
                Err(Error::new_spanned(
                    inner,
                    format!(
                        "the attribute borrows the connection itself: write `client = {place}`"
                    ),
                ))
            }
            _ => Err(Error::new_spanned(
                inner,
                "`client` names an argument that is a connection or, in a plain `fn`, a place such as `self.db`",
            )),
        }
    }

    /// The only `&mut` argument, where the attribute has no `client`.
    pub(crate) fn only_argument(function: &Function) -> Result<Self> {
        let mut mutable = function.bound_names().into_iter().filter(|name| {
            matches!(
                function.typed_argument(name).map(|(_, ty)| types::ungroup(ty)),
                Some(Type::Reference(reference)) if reference.mutability.is_some()
            )
        });
        let (first, second) = (mutable.next(), mutable.next());
        let function = &function.sig.ident;
        match (first, second) {
            (Some(name), None) => Ok(Self::Argument(name.clone())),
            (None, _) => Err(Error::new(
                function.span(),
                format!(
                    "`{function}` has no `&mut` argument to work on: add the connection, as in `conn: &mut postgres::Client`, or name it, as in `client = self.db`"
                ),
            )),
            (Some(first), Some(second)) => Err(Error::new(
                function.span(),
                format!(
                    "`{function}` has several `&mut` arguments: name the one that is the connection, as in `client = {first}` or `client = {second}`"
                ),
            )),
        }
    }

    /// Whether both are written alike, so that they are the same connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.source() == other.source()
    }

    fn source(&self) -> String {
        match self {
            Self::Argument(name) => parse::source(name),
            Self::Place { place, .. } => parse::source(place),
        }
    }

    pub(crate) fn validate(&self, function: &Function) -> Result<()> {
        match self {
            Self::Argument(name) => validate_argument(name, function),
            Self::Place { place, .. } if function.sig.asyncness.is_some() => {
                Err(Error::new_spanned(
                    place,
                    "an `async fn` takes its connection as an argument: write `client = conn` and add `conn: &mut ..`",
                ))
            }
            Self::Place { root, .. } if root == "self" => Ok(()),
            Self::Place { root, .. } => require_argument(root, function),
        }
    }

    /// Where errors about the connection are reported.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Argument(name) => name.span(),
            Self::Place { place, .. } => place.span(),
        }
    }

    /// The name of the argument, or of what the place begins with.
    ///
    /// It has the hygiene of the argument, so that it resolves to that also where `macro_rules!` wrote one of the two,
    /// and the position of the option, so that errors are reported there.
    pub(crate) fn name(&self, function: &Function) -> Ident {
        let mut argument = self.argument(function);
        argument.set_span(argument.span().located_at(self.root().span()));
        argument
    }

    /// The same, where it is in the signature.
    fn argument(&self, function: &Function) -> Ident {
        let bound = function.bound_names();
        let argument = bound.into_iter().find(|bound| *bound == self.root());
        argument.unwrap_or_else(|| self.root()).clone()
    }

    fn root(&self) -> &Ident {
        let (Self::Argument(name) | Self::Place { root: name, .. }) = self;
        name
    }

    // Input:  client = conn    client = self.db
    // Output: &mut *conn       &mut self.db
    pub(crate) fn reborrow(&self, function: &Function) -> TokenStream {
        match self {
            Self::Argument(name) => {
                let argument = self.name(function);
                quote_spanned!(name.span()=> &mut *#argument)
            }
            Self::Place { place, .. } => quote_spanned!(place.span()=> &mut #place),
        }
    }

    // Input:  client = conn
    // Output: &mut *conn
    //
    /// The borrow for the body of a plain `fn`, which is said to be at the argument. If it were at the option, where the one
    /// is that releases the lock, the compiler would take a conflict of the two for one between the rounds of a loop.
    pub(crate) fn lent(&self, function: &Function) -> TokenStream {
        let argument = self.argument(function);
        let span = self.span().located_at(argument.span());
        quote_spanned!(span=> &mut *#argument)
    }

    /// Refuses what can only be a borrow of the connection, on which the lock is released after the body.
    pub(crate) fn validate_returned(&self, function: &Function) -> Result<()> {
        let (Self::Argument(name), ReturnType::Type(_, returned)) = (self, &function.sig.output)
        else {
            return Ok(());
        };
        let elides_one = types::lifetimes(returned).contains(&None);
        let others = function.sig.inputs.iter().any(|argument| match argument {
            FnArg::Receiver(_) => true,
            FnArg::Typed(argument) => match &*argument.pat {
                Pat::Ident(pattern) if pattern.ident == *name => {
                    types::lifetimes(&argument.ty).len() != 1
                }
                _ => !types::lifetimes(&argument.ty).is_empty(),
            },
        });
        if others || !elides_one || types::names_function(returned) {
            return Ok(());
        }
        let function = &function.sig.ident;
        Err(Error::new_spanned(
            returned,
            format!(
                "what `{function}` returns borrows `{name}`, which is used again after the body: return what does not, such as rows, or do by hand what the attribute does"
            ),
        ))
    }

    // Input:  client = conn                   client = self.db
    // Output: let conn = {connection};
    //         let _ = &conn;
    //
    // `let _` keeps the compiler from calling the variable unused when the body does not use its connection.
    pub(crate) fn shadow(&self, function: &Function, connection: &TokenStream) -> TokenStream {
        match self {
            Self::Argument(_) => {
                let argument = self.name(function);
                quote! {
                    let #argument = #connection;
                    let _ = &#argument;
                }
            }
            Self::Place { .. } => TokenStream::new(),
        }
    }
}

fn require_argument(name: &Ident, function: &Function) -> Result<()> {
    let arguments = function.bound_names();
    if arguments.contains(&name) {
        return Ok(());
    }
    let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let function = &function.sig.ident;
    let remedy = match suggest::word(&name.to_string(), &arguments) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            format!("add `{name}: &mut ..`, or name the argument that is the connection")
        }
    };
    Err(Error::new(
        name.span(),
        format!("`{name}` is not an argument of `{function}`: {remedy}"),
    ))
}

fn validate_argument(name: &Ident, function: &Function) -> Result<()> {
    require_argument(name, function)?;
    let Some((mutability, ty)) = function.typed_argument(name) else {
        return Ok(());
    };
    if let Some(pool) = types::pool(ty) {
        let (connection, taken) = if pool == "PgPool" {
            ("sqlx::PgConnection", "acquire().await?")
        } else if function.sig.asyncness.is_some() {
            ("tokio_postgres::Client", "get().await?")
        } else {
            ("postgres::Client", "get()?")
        };
        return Err(Error::new_spanned(
            ty,
            format!(
                "`{pool}` is a pool, and this works on one connection: take it from the pool in the caller, as in `let mut conn = {name}.{taken}`, and pass `&mut conn` for an argument `conn: &mut {connection}`"
            ),
        ));
    }
    match types::ungroup(ty) {
        Type::Reference(reference) if reference.mutability.is_some() => match mutability {
            None => Ok(()),
            Some(mutability) => Err(Error::new(
                mutability.span,
                format!(
                    "`{name}` is used again after the body, so it has to stay the same connection: remove `mut`"
                ),
            )),
        },
        Type::Reference(reference) => {
            let element = parse::source(&reference.elem);
            Err(Error::new_spanned(
                ty,
                format!(
                    "the connection has to be exclusive to this call: take `{name}: &mut {element}`"
                ),
            ))
        }
        owned => {
            let owned = parse::source(owned);
            Err(Error::new_spanned(
                ty,
                format!(
                    "the connection is used again after the body, so the function cannot own it: take `{name}: &mut {owned}`"
                ),
            ))
        }
    }
}

fn root(place: &Expr) -> Option<&Ident> {
    match parse::ungroup(place) {
        Expr::Field(ExprField { base, .. }) | Expr::Index(ExprIndex { expr: base, .. }) => {
            root(base)
        }
        Expr::Unary(ExprUnary {
            op: UnOp::Deref(_),
            expr,
            ..
        }) => root(expr),
        Expr::Path(path) => path.path.get_ident(),
        _ => None,
    }
}
