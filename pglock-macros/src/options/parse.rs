//! What the arguments of all attributes have in common: `name = value`, bare flags, words of the macro.

use proc_macro2::Span;
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitBool, Path, Result, Token, token};

/// A value, and the tokens to blame when it turns out to be wrong.
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// The options of an attribute, by name, and what to write for each.
pub(crate) type Options = [(&'static str, &'static str)];

/// Puts an option's value where it belongs, or blames the repeat.
pub(crate) fn set_once<T>(
    slot: &mut Option<Spanned<T>>,
    name: &str,
    value: T,
    span: Span,
) -> Result<()> {
    if slot.is_some() {
        return Err(Error::new(
            span,
            format!("`{name}` is given twice: remove one of them"),
        ));
    }
    *slot = Some(Spanned { value, span });
    Ok(())
}

/// Reads an option's name, or nothing where an argument without a name stands.
pub(crate) fn option_name(input: ParseStream<'_>, options: &Options) -> Result<Option<Ident>> {
    let ahead = input.fork();
    let Ok(name) = ahead.call(Ident::parse_any) else {
        return Ok(None);
    };
    let is_known = options.iter().any(|(known, _)| name == known);
    let is_expression = ahead.peek(Token![::]) || ahead.peek(Token![.]);
    let is_assignment = ahead.peek(Token![=]) && !ahead.peek(Token![==]) && !ahead.peek(Token![=>]);
    if is_assignment || (is_known && !is_expression) {
        input.call(Ident::parse_any).map(Some)
    } else {
        Ok(None)
    }
}

/// Blames an option that there is not.
pub(crate) fn unknown_option(name: &Ident, options: &Options) -> Error {
    Error::new(
        name.span(),
        format!(
            "unknown option `{name}`: expected one of {}",
            names(options)
        ),
    )
}

/// Reads what follows an option's name: `= value`.
pub(crate) fn value<T: Parse>(
    input: ParseStream<'_>,
    name: &Ident,
    options: &Options,
) -> Result<T> {
    let missing = if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        input.is_empty() || input.peek(Token![,])
    } else {
        true
    };
    if missing {
        return Err(Error::new(
            name.span(),
            format!("`{name}` needs a value: write `{}`", example(name, options)),
        ));
    }
    input.parse()
}

/// Reads what follows a flag's name: nothing, `= true` or `= false`.
pub(crate) fn flag(input: ParseStream<'_>, name: &Ident) -> Result<bool> {
    if !input.peek(Token![=]) && !input.peek(token::Paren) {
        return Ok(true);
    }
    let message =
        format!("`{name}` is a flag: write `{name}`, `{name} = true` or `{name} = false`");
    if input.parse::<Token![=]>().is_err() || input.is_empty() || input.peek(Token![,]) {
        return Err(Error::new(name.span(), message));
    }
    let value: Expr = input.parse()?;
    match ungroup(&value) {
        Expr::Lit(ExprLit {
            lit: Lit::Bool(LitBool { value, .. }),
            ..
        }) => Ok(*value),
        other => Err(Error::new_spanned(other, message)),
    }
}

/// Reads the path of `crate = path`.
pub(crate) struct CratePath(pub(crate) Path);

impl Parse for CratePath {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        input.call(Path::parse_mod_style).map(Self)
    }
}

/// The word that an expression consists of: `Skip`, `pglock::Skip`.
pub(crate) fn word(value: &Expr) -> Option<&Ident> {
    let Expr::Path(path) = ungroup(value) else {
        return None;
    };
    let mut segments = path.path.segments.iter();
    let plain = path.qself.is_none() && segments.all(|segment| segment.arguments.is_none());
    let prefixed = path.path.segments.len() == 2 && path.path.segments[0].ident == "pglock";
    if plain && (path.path.get_ident().is_some() || prefixed) {
        path.path.segments.last().map(|segment| &segment.ident)
    } else {
        None
    }
}

/// The text of a string literal.
pub(crate) fn text(value: &Expr) -> Option<String> {
    match ungroup(value) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

/// Looks through parentheses, and through the invisible ones around what `macro_rules!` passes on.
pub(crate) fn ungroup(mut value: &Expr) -> &Expr {
    loop {
        value = match value {
            Expr::Group(group) => &group.expr,
            Expr::Paren(paren) => &paren.expr,
            other => return other,
        };
    }
}

/// Everything that is wrong, at once.
pub(crate) fn all(checks: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let errors = checks.into_iter().filter_map(Result::err);
    let all = errors.reduce(|mut errors, error| {
        errors.combine(error);
        errors
    });
    all.map_or(Ok(()), Err)
}

/// A path as text, without the `::` in front.
pub(crate) fn path_text(path: &Path) -> String {
    let segments = &path.segments;
    quote!(#segments).to_string().replace(' ', "")
}

/// Code as people write it, to be quoted in a message.
pub(crate) fn source(code: &impl ToTokens) -> String {
    let mut source = code.to_token_stream().to_string();
    for (spaced, written) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" . ", "."),
        (" < ", "<"),
        (" >", ">"),
        (" ,", ","),
        ("& ", "&"),
        ("* ", "*"),
        (" [", "["),
        (" (", "("),
    ] {
        source = source.replace(spaced, written);
    }
    source
}

/// The names of the options, for people.
pub(crate) fn names(options: &Options) -> String {
    let names: Vec<_> = options
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    names.join(", ")
}

fn example(name: &Ident, options: &Options) -> &'static str {
    options
        .iter()
        .find(|(known, _)| name == known)
        .map_or("", |(_, example)| example)
}
