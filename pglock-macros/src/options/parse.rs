//! The syntax that the arguments of all attributes share: `name = value`, flags, and words such as `Skip`.

use proc_macro2::{Delimiter, Group, Span, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitBool, Path, Result, Token, token};

use crate::options::suggest;

/// A value, and where to report that it is wrong.
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// The options of an attribute whose arguments are an `A`: name, example, and what reads the value.
///
/// An option whose example is empty is not one of the attribute's: reading it says where it belongs.
pub(crate) type Options<A> = [(&'static str, &'static str, ReadOption<A>)];

type ReadOption<A> = fn(&mut A, &NamedOption<'_>) -> Result<()>;

/// Parses the arguments of an attribute. `positional` reads those that have no name.
pub(crate) fn parse_options<A: Default>(
    input: ParseStream<'_>,
    options: &Options<A>,
    positional: impl Fn(&mut A, Expr) -> Result<()>,
) -> Result<A> {
    let mut args = A::default();
    while !input.is_empty() {
        match option_name(input, options)? {
            Some(name) => read_option(&mut args, name, input, options)?,
            None => positional(&mut args, expression(input)?)?,
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(args)
}

/// Parses the arguments of an attribute whose options all have names.
pub(crate) fn parse_named_options<A: Default>(
    input: ParseStream<'_>,
    options: &Options<A>,
) -> Result<A> {
    parse_options(input, options, |_, value| {
        let message = unknown_word(&value, options).unwrap_or_else(|| {
            let names = names(options);
            format!("every option has a name: write `name = ..` with one of {names}")
        });
        Err(Error::new_spanned(value, message))
    })
}

/// Parses an option's name; `None` before an argument without one.
fn option_name<A>(input: ParseStream<'_>, options: &Options<A>) -> Result<Option<Ident>> {
    let ahead = input.fork();
    let Ok(name) = ahead.call(Ident::parse_any) else {
        return Ok(None);
    };
    let is_known = options.iter().any(|(known, ..)| name == known);
    let is_expression = ahead.peek(Token![::]) || ahead.peek(Token![.]);
    let is_assignment = ahead.peek(Token![=]) && !ahead.peek(Token![==]) && !ahead.peek(Token![=>]);
    if is_assignment || (is_known && !is_expression) {
        input.call(Ident::parse_any).map(Some)
    } else {
        Ok(None)
    }
}

fn read_option<A>(
    args: &mut A,
    name: Ident,
    input: ParseStream<'_>,
    options: &Options<A>,
) -> Result<()> {
    match options.iter().find(|(known, ..)| name == known) {
        Some(&(_, example, read)) => read(
            args,
            &NamedOption {
                name,
                example,
                input,
            },
        ),
        None => Err(Error::new(name.span(), unknown(&name.to_string(), options))),
    }
}

/// Parses a value. `all[..]` is no expression of Rust's if there are several in it.
fn expression(input: ParseStream<'_>) -> Result<Expr> {
    match in_brackets(&input.fork()) {
        Some(error) => Err(error),
        None => input.parse(),
    }
}

fn in_brackets(input: ParseStream<'_>) -> Option<Error> {
    let all: Ident = input.parse().ok().filter(|word| word == "all")?;
    let inside = input.parse::<Group>().ok()?;
    let mut tokens = inside.stream().into_iter();
    let are_several =
        tokens.any(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','));
    let ids = source(&inside.stream());
    (inside.delimiter() == Delimiter::Bracket && are_several).then(|| {
        Error::new(
            all.span(),
            format!("several lock IDs are in parentheses: write `all({ids})`"),
        )
    })
}

fn unknown<A>(name: &str, options: &Options<A>) -> String {
    meant(name, options).unwrap_or_else(|| {
        format!(
            "unknown option `{name}`: expected one of {}",
            names(options)
        )
    })
}

/// What to say of a word that stands alone, if it is nearly an option.
pub(crate) fn unknown_word<A>(value: &Expr, options: &Options<A>) -> Option<String> {
    meant(&word(value)?.to_string(), options)
}

fn meant<A>(name: &str, options: &Options<A>) -> Option<String> {
    let known: Vec<_> = own(options).map(|(name, _)| name).collect();
    let meant = suggest::option(name, &known)?;
    let (_, example) = own(options).find(|(known, _)| *known == meant)?;
    let what = if meant == example { "flag" } else { "option" };
    Some(format!(
        "unknown {what} `{name}`: did you mean `{example}`?"
    ))
}

/// The names of the options, for messages.
pub(crate) fn names<A>(options: &Options<A>) -> String {
    let names: Vec<_> = own(options).map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

/// The options that are the attribute's own, with their examples.
fn own<A>(options: &Options<A>) -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = options.iter().map(|(name, example, _)| (*name, *example));
    all.filter(|(_, example)| !example.is_empty())
}

/// An option whose name was parsed. Its value comes next.
pub(crate) struct NamedOption<'a> {
    pub(crate) name: Ident,
    example: &'static str,
    input: ParseStream<'a>,
}

impl NamedOption<'_> {
    /// Parses `= value` into `slot`.
    pub(crate) fn value<T>(
        &self,
        slot: &mut Option<Spanned<T>>,
        convert: impl FnOnce(Expr) -> Result<T>,
    ) -> Result<()> {
        let value: Expr = self.assigned(expression)?;
        let span = value.span();
        self.set_once(slot, convert(value)?, span)
    }

    /// Parses `= path` into `slot`, where the path may begin with `crate`.
    pub(crate) fn path(&self, slot: &mut Option<Spanned<Path>>) -> Result<()> {
        let path = self.assigned(Path::parse_mod_style)?;
        let span = path.span();
        self.set_once(slot, path, span)
    }

    /// Parses nothing, `= true` or `= false` into `slot`.
    pub(crate) fn flag(&self, slot: &mut Option<Spanned<bool>>) -> Result<()> {
        let (value, span) = self.flag_value()?;
        self.set_once(slot, value, span)
    }

    fn assigned<T>(&self, parse: fn(ParseStream<'_>) -> Result<T>) -> Result<T> {
        let Self {
            name,
            example,
            input,
        } = self;
        let missing = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            input.is_empty() || input.peek(Token![,])
        } else {
            true
        };
        if missing {
            return Err(Error::new(
                name.span(),
                format!("`{name}` needs a value: write `{example}`"),
            ));
        }
        input.call(parse)
    }

    fn flag_value(&self) -> Result<(bool, Span)> {
        let Self { name, input, .. } = self;
        if !input.peek(Token![=]) && !input.peek(token::Paren) {
            return Ok((true, name.span()));
        }
        let message =
            format!("`{name}` is a flag: write `{name}`, `{name} = true` or `{name} = false`");
        if input.parse::<Token![=]>().is_err() || input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new(name.span(), message));
        }
        let value: Expr = input.parse()?;
        match ungroup(&value) {
            Expr::Lit(ExprLit {
                lit: Lit::Bool(LitBool { value, span }),
                ..
            }) => Ok((*value, *span)),
            other => Err(Error::new_spanned(other, message)),
        }
    }

    fn set_once<T>(&self, slot: &mut Option<Spanned<T>>, value: T, span: Span) -> Result<()> {
        let name = &self.name;
        if slot.is_some() {
            return Err(Error::new(
                name.span(),
                format!("`{name}` is given twice: remove one of them"),
            ));
        }
        *slot = Some(Spanned { value, span });
        Ok(())
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

/// The mistakes that `checks` found, as one error that reports each of them.
pub(crate) fn combine(checks: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let errors = checks.into_iter().filter_map(Result::err);
    let combined = errors.reduce(|mut errors, error| {
        errors.combine(error);
        errors
    });
    combined.map_or(Ok(()), Err)
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
        ("< ", "<"),
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
