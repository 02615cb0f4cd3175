//! Lock IDs with placeholders: `"invoices:{tenant}"`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::{Error, Ident, LitStr, Result};

use crate::function::Function;

/// A string literal that names a lock.
pub(crate) struct Template {
    literal: LitStr,
    /// What the literal says when it has no placeholders: `{{` is `{` there.
    text: String,
    placeholders: Vec<String>,
}

impl Template {
    pub(crate) fn parse(literal: LitStr) -> Result<Self> {
        let value = literal.value();
        if value.is_empty() {
            return Err(Error::new(literal.span(), "a lock ID can't be empty: say what is locked, as in `\"invoices\"`"));
        }
        let (mut text, mut placeholders) = (String::new(), Vec::new());
        let mut rest = value.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            if let Some(after) = brace.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = brace.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else if let Some((placeholder, after)) = brace.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                placeholders.push(argument_name(placeholder).map_err(|message| Error::new(literal.span(), message))?);
                rest = after;
            } else {
                let message = if brace.starts_with('{') {
                    "a `{` without its `}`: write `{{` for a brace that is part of the lock ID"
                } else {
                    "a `}` without its `{`: write `}}` for a brace that is part of the lock ID"
                };
                return Err(Error::new(literal.span(), message));
            }
        }
        text.push_str(rest);
        Ok(Self { literal, text, placeholders })
    }

    pub(crate) fn validate(&self, function: &Function) -> Result<()> {
        let arguments = function.bound_names();
        let unbound = self.placeholders.iter().find(|name| !arguments.iter().any(|ident| ident.unraw() == **name));
        let Some(name) = unbound else {
            return Ok(());
        };
        let choices = if arguments.is_empty() {
            "it has none".to_owned()
        } else {
            let names: Vec<_> = arguments.iter().map(|ident| format!("`{{{}}}`", ident.unraw())).collect();
            format!("it has {}", names.join(", "))
        };
        let function = &function.sig.ident;
        Err(Error::new(
            self.literal.span(),
            format!("`{{{name}}}` is no argument of `{function}` ({choices}): for anything else write an expression, as in `lock_id = format!(..)`"),
        ))
    }

    // Input:  "invoices:{tenant}"
    // Output: ::std::format!("invoices:{tenant}")
    pub(crate) fn expand(&self) -> TokenStream {
        if self.placeholders.is_empty() {
            let text = LitStr::new(&self.text, self.literal.span());
            quote!(#text)
        } else {
            let literal = &self.literal;
            quote!(::std::format!(#literal))
        }
    }
}

/// The argument that `{name}` names, or what to write instead.
fn argument_name(name: &str) -> std::result::Result<String, String> {
    if let Some((argument, format)) = name.split_once(':') {
        return Err(format!(
            "a placeholder has no format: write `{{{argument}}}`, or an expression, as in `lock_id = format!(\"{{{argument}:{format}}}\")`"
        ));
    }
    let is_name = Ident::parse_any.parse_str(name).is_ok();
    if is_name && name != "self" {
        return Ok(name.to_owned());
    }
    Err(if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("a placeholder names an argument: write `{{id}}` rather than `{{{name}}}`, and `{{{{` for a brace")
    } else {
        format!("a placeholder is the name of an argument: for `{name}` write an expression, as in `lock_id = format!(..)`")
    })
}
