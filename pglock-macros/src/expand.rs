//! Several of pglock's attributes on one function: they nest in reading order, the topmost is outermost.
//!
//! The compiler expands the topmost first, and what the next one then wraps is the whole result, so left to itself
//! it would be outermost. Therefore the topmost expands them all.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Meta, Path, Result, parse_quote};

use crate::attributes::{Attribute, advisory, prioritize, timeout};
use crate::function::Function;
use crate::options::parse;

type Read = fn(TokenStream) -> Result<Box<dyn Attribute>>;

/// All of pglock's attributes, by the names that users write.
const ATTRIBUTES: [(&str, Read); 3] = [
    ("advisory", advisory::read),
    ("prioritize", prioritize::read),
    ("timeout", timeout::read),
];

/// Expands the attribute that `read` reads, and those of pglock's below it.
pub(crate) fn expand(read: Read, arguments: TokenStream, item: &TokenStream) -> TokenStream {
    let mut function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let error = error.into_compile_error();
            return quote!(#item #error);
        }
    };
    let outermost = read(arguments);
    let krate = outermost
        .as_ref()
        .map_or_else(|_| parse_quote!(::pglock), |attribute| attribute.krate());
    let inner = take_attributes(&mut function, &krate);
    match read_and_validate(outermost, &inner, &function) {
        Ok(attributes) => emit(&attributes, &inner, &function),
        Err(error) => {
            let (function, error) = (function.unchanged(), error.into_compile_error());
            quote!(#function #error)
        }
    }
}

/// Takes pglock's attributes off a function.
fn take_attributes(function: &mut Function, krate: &Path) -> Vec<(syn::Attribute, Read)> {
    let mut taken = Vec::new();
    for attribute in std::mem::take(&mut function.attrs) {
        match find(attribute.path(), krate) {
            Some(read) => taken.push((attribute, read)),
            None => function.attrs.push(attribute),
        }
    }
    taken
}

/// The attribute of pglock's that a path names: `advisory`, `pglock::advisory`, or with the path of `crate = ..`.
fn find(path: &Path, krate: &Path) -> Option<Read> {
    let (path, krate) = (parse::path_text(path), parse::path_text(krate));
    ATTRIBUTES.into_iter().find_map(|(name, read)| {
        let names = [
            name.to_owned(),
            format!("pglock::{name}"),
            format!("{krate}::{name}"),
        ];
        names.contains(&path).then_some(read)
    })
}

/// Reads the inner attributes too, and says all that is wrong at once.
fn read_and_validate(
    outermost: Result<Box<dyn Attribute>>,
    inner: &[(syn::Attribute, Read)],
    function: &Function,
) -> Result<Vec<Box<dyn Attribute>>> {
    let (mut attributes, mut checks) = (Vec::new(), Vec::new());
    let inner_attributes = inner
        .iter()
        .map(|(attribute, read)| read(arguments(attribute)?));
    for attribute in std::iter::once(outermost).chain(inner_attributes) {
        match attribute {
            Ok(attribute) => attributes.push(attribute),
            Err(error) => checks.push(Err(error)),
        }
    }
    checks.push(function.check());
    checks.extend(
        attributes
            .iter()
            .map(|attribute| attribute.validate(function)),
    );
    checks.push(one_default_id(&attributes, function));
    parse::all(checks).map(|()| attributes)
}

fn arguments(attribute: &syn::Attribute) -> Result<TokenStream> {
    match &attribute.meta {
        Meta::Path(_) => Ok(TokenStream::new()),
        Meta::List(list) => Ok(list.tokens.clone()),
        Meta::NameValue(meta) => {
            let path = parse::source(&meta.path);
            Err(Error::new_spanned(
                meta,
                format!("arguments are written in parentheses: `#[{path}(..)]`"),
            ))
        }
    }
}

fn one_default_id(attributes: &[Box<dyn Attribute>], function: &Function) -> Result<()> {
    if attributes
        .iter()
        .filter(|attribute| attribute.has_default_id())
        .count()
        < 2
    {
        return Ok(());
    }
    let name = &function.sig.ident;
    Err(Error::new(
        name.span(),
        format!("`{name}` would take the same lock twice: give all but one attribute a `lock_id`"),
    ))
}

// Input:  #[pglock::advisory("outer")]
//         #[advisory("inner")]
//         fn name() -> R { work() }
// Output: fn name() -> R {
//             #[allow(unused_imports)] use advisory as _;
//             {outer, around {{inner, around { work() }}}}
//         }
//
// The inner attributes are gone before the compiler resolves them: without the `use` it would call their imports unused.
fn emit(
    attributes: &[Box<dyn Attribute>],
    inner: &[(syn::Attribute, Read)],
    function: &Function,
) -> TokenStream {
    let paths = inner.iter().map(|(attribute, _)| attribute.path());
    let mut body = function.block();
    let mut statements = TokenStream::new();
    for attribute in attributes.iter().rev() {
        statements = attribute.expand(function, &body);
        body = quote!({ #statements });
    }
    function.emit(&quote!(#(#[allow(unused_imports)] use #paths as _;)* #statements))
}
