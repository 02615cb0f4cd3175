//! Lock IDs with placeholders: `"invoices:{tenant}"`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::{Error, Ident, LitStr, Result};

use crate::function::Function;
use crate::options::suggest;

/// A string literal that names a lock.
pub(crate) struct Template {
    literal: LitStr,
    /// The literal without its placeholders, and with `{{` and `}}` read as braces: the lock's name if there is no placeholder.
    text: String,
    placeholders: Vec<String>,
}

impl Template {
    pub(crate) fn parse(literal: LitStr) -> Result<Self> {
        let value = literal.value();
        if value.is_empty() {
            return Err(Error::new(
                literal.span(),
                "a lock ID cannot be empty: name what is locked, as in `\"invoices\"`",
            ));
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
            } else if let Some((placeholder, after)) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
            {
                placeholders.push(
                    argument_name(placeholder)
                        .map_err(|message| Error::new(literal.span(), message))?,
                );
                rest = after;
            } else {
                let message = if brace.starts_with('{') {
                    "a `{` without a `}`: write `{{` for a brace that is part of the lock ID"
                } else {
                    "a `}` without a `{`: write `}}` for a brace that is part of the lock ID"
                };
                return Err(Error::new(literal.span(), message));
            }
        }
        text.push_str(rest);
        Ok(Self {
            literal,
            text,
            placeholders,
        })
    }

    pub(crate) fn validate(&self, function: &Function) -> Result<()> {
        let arguments = function.bound_names();
        let unbound = self
            .placeholders
            .iter()
            .find(|name| !arguments.iter().any(|ident| ident.unraw() == **name));
        let Some(name) = unbound else {
            return Ok(());
        };
        let names: Vec<_> = arguments
            .iter()
            .map(|ident| ident.unraw().to_string())
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let function = &function.sig.ident;
        let remedy = if let Some(meant) = suggest::word(name, &names) {
            format!(": did you mean `{{{meant}}}`?")
        } else {
            let choices = if names.is_empty() {
                "which has none".to_owned()
            } else {
                format!("which has `{{{}}}`", names.join("}`, `{"))
            };
            format!(
                ", {choices}: for anything else, write an expression, as in `lock_id = format!(..)`"
            )
        };
        Err(Error::new(
            self.literal.span(),
            format!("`{{{name}}}` is not an argument of `{function}`{remedy}"),
        ))
    }

    /// The name of all locks of this template in metrics.
    pub(crate) fn label(&self) -> String {
        if self.placeholders.is_empty() {
            self.text.clone()
        } else {
            self.literal.value()
        }
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

/// The argument that the placeholder `{name}` inserts; otherwise a message that says what to write instead.
fn argument_name(name: &str) -> std::result::Result<String, String> {
    if let Some((argument, format)) = name.split_once(':') {
        return Err(format!(
            "a placeholder cannot have a format: write `{{{argument}}}`, or an expression, as in `lock_id = format!(\"{{{argument}:{format}}}\")`"
        ));
    }
    let is_name = Ident::parse_any
        .parse_str(name)
        .is_ok_and(|ident| ident == name);
    if is_name && name != "self" {
        return Ok(name.to_owned());
    }
    Err(
        if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
            format!(
                "a placeholder names an argument: write `{{id}}` rather than `{{{name}}}`, and `{{{{` for a brace"
            )
        } else {
            format!(
                "a placeholder is the name of an argument: for `{name}` write an expression, as in `lock_id = format!(..)`"
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<(String, Vec<String>), String> {
        let literal = LitStr::new(text, proc_macro2::Span::call_site());
        match Template::parse(literal) {
            Ok(template) => Ok((template.text, template.placeholders)),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn placeholders() {
        for (text, placeholders) in [
            ("{id}", vec!["id"]),
            ("a:{id}:{name}!", vec!["id", "name"]),
            ("{{{id}}}", vec!["id"]),
            ("{type}", vec!["type"]),
            ("{größe}", vec!["größe"]),
        ] {
            assert_eq!(parse(text).unwrap().1, placeholders, "{text}");
        }
    }

    #[test]
    fn escapes() {
        for (template, text) in [
            ("invoices", "invoices"),
            ("{{}}", "{}"),
            ("{{a}}:}}{{", "{a}:}{"),
            ("größe", "größe"),
        ] {
            assert_eq!(
                parse(template),
                Ok((text.to_owned(), Vec::new())),
                "{template}"
            );
        }
    }

    #[test]
    fn mistakes() {
        for (text, message) in [
            ("", "cannot be empty"),
            ("{", "without a `}`"),
            ("{id", "without a `}`"),
            ("id}", "without a `{`"),
            ("{}", "names an argument"),
            ("{0}", "names an argument"),
            ("{ id}", "is the name"),
            ("{id }", "is the name"),
            ("{a.b}", "is the name of an argument"),
            ("{self}", "is the name of an argument"),
            ("{id:?}", "cannot have a format"),
            ("{:>4}", "cannot have a format"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn placeholders_are_bound_arguments() {
        let function =
            syn::parse_str("fn f(a: u8, Point { x, y: b }: Point, (c, [d, ..]): T, r#type: u8) {}")
                .unwrap();
        let validate = |text| {
            let literal = LitStr::new(text, proc_macro2::Span::call_site());
            Template::parse(literal).unwrap().validate(&function)
        };
        assert!(validate("{a}{x}{b}{c}{d}{type}").is_ok());
        for text in ["{y}", "{Point}", "{f}", "{T}"] {
            assert!(validate(text).is_err(), "{text}");
        }
    }
}
