//! Reads all attributes of pglock's on a function, validates them, and nests what they expand to.
//!
//! They nest in reading order: the topmost is outermost. The compiler expands the topmost first and gives its output to
//! the next one, which would then wrap the whole of it. Therefore the topmost expands them all, and one that it does not
//! know, because its name is the user's own, finds the body by its mark.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{Error, Ident, Meta, Path, Result, parse_quote};

use crate::arguments::{self, Mentions};
use crate::attributes::{
    Attribute, advisory, leader, limit, lock_timeouts, prioritize, retry, timeout,
};
use crate::function::Function;
use crate::options::client::Client;
use crate::options::on_error::OnError;
use crate::options::parse;
use crate::options::shared::SharedOptions;

/// Reads the arguments of one attribute.
type ReadAttribute = fn(TokenStream) -> Result<Box<dyn Attribute>>;

/// All of pglock's attributes, by their names in the crate.
const ATTRIBUTES: [(&str, ReadAttribute); 6] = [
    ("advisory", advisory::read),
    ("leader", leader::read),
    ("limit", limit::read),
    ("prioritize", prioritize::read),
    ("retry", retry::read),
    ("timeout", timeout::read),
];

/// Expands the attribute of that name, and those of pglock's below it.
pub(crate) fn expand(name: &str, arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => return refuse(item, error),
    };
    let attributes = Attributes::take(&canonical(name, arguments), &mut function);
    match attributes.validate(&function) {
        Ok(()) => attributes.wrap(&mut function),
        Err(error) => refuse(&without_warnings(&function), error),
    }
}

/// The item stays, so that the compiler doesn't report each of its uses too.
fn refuse(item: &impl ToTokens, error: Error) -> TokenStream {
    let error = error.into_compile_error();
    quote!(#item #error)
}

/// The function as it was. What only the attribute uses, such as an argument in a placeholder, would be called unused.
fn without_warnings(function: &Function) -> TokenStream {
    let item = function.item.unchanged();
    quote!(#[allow(unused_variables)] #item)
}

/// The attributes of one function, outermost first.
struct Attributes {
    /// Those that are around the body already.
    expanded: Vec<Box<dyn Attribute>>,
    read: Vec<Box<dyn Attribute>>,
    /// The errors of the attributes whose arguments could not be read.
    mistakes: Vec<Error>,
    /// The paths of the inner ones, which were removed from the function.
    paths: Vec<Path>,
    /// The path of the runtime crate, for the outermost.
    krate: Path,
}

impl Attributes {
    /// Removes pglock's attributes from a function, and reads their arguments.
    fn take(outermost: &syn::Attribute, function: &mut Function) -> Self {
        let read = read_canonical(outermost);
        let krate = read.as_ref().map_or_else(
            |_| parse_quote!(::pglock),
            |attribute| attribute.shared_options().krate_at(Span::call_site()),
        );
        let mut attributes = Self {
            // They were read without a mistake, or they would not be there.
            expanded: function.around.iter().flat_map(read_canonical).collect(),
            read: Vec::new(),
            mistakes: Vec::new(),
            paths: Vec::new(),
            krate,
        };
        attributes.add(read);
        function.around.push(outermost.clone());
        for attribute in std::mem::take(&mut function.item.attrs) {
            match find(attribute.path(), &attributes.krate) {
                None => function.item.attrs.push(attribute),
                Some((name, _)) => {
                    attributes.paths.push(attribute.path().clone());
                    match arguments_of(&attribute) {
                        Ok(arguments) => {
                            let attribute = canonical(name, &arguments);
                            attributes.add(read_canonical(&attribute));
                            function.around.push(attribute);
                        }
                        Err(mistake) => attributes.mistakes.push(mistake),
                    }
                }
            }
        }
        attributes
    }

    fn add(&mut self, read: Result<Box<dyn Attribute>>) {
        match read {
            Ok(attribute) => self.read.push(attribute),
            Err(mistake) => self.mistakes.push(mistake),
        }
    }

    /// All of them, also those of earlier expansions.
    fn all(&self) -> impl Iterator<Item = &dyn Attribute> {
        self.expanded.iter().chain(&self.read).map(|it| &**it)
    }

    /// Reports everything that is wrong at once.
    fn validate(&self, function: &Function) -> Result<()> {
        let mistakes = self.mistakes.iter().cloned().map(Err);
        let read = self.read.iter();
        let each = read.map(|attribute| attribute.validate(function));
        let lock_timeouts: Vec<_> = self
            .all()
            .filter_map(|attribute| attribute.lock_timeout(function))
            .collect();
        parse::combine(mistakes.chain([function.check()]).chain(each).chain([
            self.validate_default_ids(function),
            lock_timeouts::validate(&lock_timeouts),
        ]))
    }

    fn validate_default_ids(&self, function: &Function) -> Result<()> {
        let with_default_id = self.all().filter(|attribute| attribute.has_default_id());
        if with_default_id.count() < 2 {
            return Ok(());
        }
        let name = &function.sig.ident;
        Err(Error::new(
            name.span(),
            format!(
                "`{name}` would take the same lock twice: give all but one attribute a `lock_id`"
            ),
        ))
    }

    /// The function with the expansion of each attribute around that of the next one.
    ///
    /// The inner attributes are gone before the compiler resolves them: without the `use`, it would call their imports
    /// unused.
    // Expansion: expansions/nested.rs
    fn wrap(&self, function: &mut Function) -> TokenStream {
        let paths = &self.paths;
        arguments::name_wildcards(function);
        function.has_place = self.has_place();
        let mut body = function.block(&arguments::taken(function, &self.mentions(function)));
        let mut statements = TokenStream::new();
        for attribute in self.read.iter().rev() {
            statements = attribute.expand(function, &body);
            body = quote!({ #statements });
        }
        let refuse_lazy = function.refuse_lazy(&self.krate);
        function.item.emit(&quote! {
            #(#[allow(unused_imports)] use #paths as _;)*
            #refuse_lazy
            #statements
        })
    }
}

impl Attributes {
    fn has_place(&self) -> bool {
        self.all()
            .filter_map(|attribute| attribute.shared_options().client.as_ref())
            .any(|client| matches!(client.value, Client::Place { .. }))
    }

    fn mentions(&self, function: &Function) -> Mentions {
        Mentions {
            options: function.around.iter().flat_map(arguments_of).collect(),
            on_error: self
                .all()
                .map(Attribute::shared_options)
                .filter_map(SharedOptions::on_error)
                .map(OnError::text)
                .collect(),
        }
    }
}

/// The attribute of pglock's that a path leads to: `pglock::advisory`, or with the path of `crate = ..`.
///
/// A name alone may be anybody's: ntest and rstest have a `timeout` as well. It is left to the compiler, which knows.
fn find(path: &Path, krate: &Path) -> Option<(&'static str, ReadAttribute)> {
    let path = parse::path_text(path);
    let (parent, name) = path.rsplit_once("::")?;
    if parent != "pglock" && parent != parse::path_text(krate) {
        return None;
    }
    ATTRIBUTES.into_iter().find(|(known, _)| *known == name)
}

/// An attribute with its name in the crate.
fn canonical(name: &str, arguments: &TokenStream) -> syn::Attribute {
    let name = Ident::new(name, Span::call_site());
    parse_quote!(#[pglock::#name(#arguments)])
}

/// Reads an attribute whose path [`canonical`] has written.
fn read_canonical(attribute: &syn::Attribute) -> Result<Box<dyn Attribute>> {
    match find(attribute.path(), &parse_quote!(pglock)) {
        Some((_, read)) => read(arguments_of(attribute)?),
        None => Err(Error::new_spanned(
            attribute,
            "pglock has no such attribute",
        )),
    }
}

/// The tokens between an attribute's parentheses.
fn arguments_of(attribute: &syn::Attribute) -> Result<TokenStream> {
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
