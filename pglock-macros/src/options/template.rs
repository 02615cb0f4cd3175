//! Lock IDs with placeholders: `"invoices:{tenant}"`, `"part:{part:03}"`, `"job:{self.id}"`.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::{Error, LitStr, Member, Path, Result};

use crate::function::Function;
use crate::options::suggest;

/// A string literal that names a lock.
pub(crate) struct Template {
    literal: LitStr,
    /// The literal without its placeholders, and with `{{` and `}}` read as braces: the lock's name if there is no placeholder.
    text: String,
    /// The literal with `{}` for each placeholder, or its format: what `format!` is given.
    format: String,
    placeholders: Vec<Placeholder>,
}

/// The value of a placeholder: `job.customer`, without its format.
struct Placeholder {
    /// An argument, a const parameter, or `self`.
    root: String,
    fields: Vec<Member>,
    is_display: bool,
}

impl Template {
    pub(crate) fn parse(literal: LitStr) -> Result<Self> {
        let value = literal.value();
        let fail = |message: &str| Error::new(literal.span(), message);
        if value.is_empty() {
            return Err(fail(
                "a lock ID cannot be empty: name what is locked, as in `\"invoices\"`",
            ));
        }
        let (mut text, mut format, mut placeholders) = (String::new(), String::new(), Vec::new());
        let mut rest = value.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            text.push_str(before);
            format.push_str(before);
            if brace.starts_with("{{") || brace.starts_with("}}") {
                text.push_str(&brace[..1]);
                format.push_str(&brace[..2]);
                rest = &brace[2..];
            } else if let Some((inside, after)) = brace
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
            {
                let (value, spec) = inside.split_at(inside.find(':').unwrap_or(inside.len()));
                let placeholder =
                    Placeholder::parse(value, spec).map_err(|message| fail(&message))?;
                placeholders.push(placeholder);
                format.extend(["{", spec, "}"]);
                rest = after;
            } else {
                return Err(fail(if brace.starts_with('{') {
                    "a `{` without a `}`: write `{{` for a brace that is part of the lock ID"
                } else {
                    "a `}` without a `{`: write `}}` for a brace that is part of the lock ID"
                }));
            }
        }
        text.push_str(rest);
        format.push_str(rest);
        Ok(Self {
            literal,
            text,
            format,
            placeholders,
        })
    }

    pub(crate) fn validate(&self, function: &Function) -> Result<()> {
        let names = function.nameable();
        let is_bound = |root: &str| names.iter().any(|name| name.unraw() == root);
        let mut roots = self
            .placeholders
            .iter()
            .map(|placeholder| &placeholder.root);
        let Some(root) = roots.find(|root| !is_bound(root)) else {
            return Ok(());
        };
        let names: Vec<_> = names.iter().map(|name| name.unraw().to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let function = &function.sig.ident;
        let remedy = if let Some(meant) = suggest::word(root, &names) {
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
            format!("`{{{root}}}` is not an argument of `{function}`{remedy}"),
        ))
    }

    /// Whether it is the name of one lock, without placeholders.
    pub(crate) fn is_name(&self) -> bool {
        self.placeholders.is_empty()
    }

    /// The name of all locks of this template in metrics.
    pub(crate) fn label(&self) -> String {
        if self.is_name() {
            self.text.clone()
        } else {
            self.literal.value()
        }
    }

    // Input:  "invoices:{tenant}:{part:03}"
    // Output: ::std::format!("invoices:{}:{:03}", ::pglock::__rt::shown(&tenant), ::pglock::__rt::shown(&part))
    //
    // Expansion: expansions/template.rs
    pub(crate) fn expand(&self, function: &Function, krate: &Path) -> TokenStream {
        let span = self.literal.span();
        if self.placeholders.is_empty() {
            let text = LitStr::new(&self.text, span);
            return quote!(#text);
        }
        let format = LitStr::new(&self.format, span);
        let values = self.placeholders.iter().map(|placeholder| {
            let root = placeholder.root(function, &self.literal);
            let fields = placeholder.fields.iter().cloned().map(|mut field| {
                // Not quite at the literal, or the compiler would advise to write another field in place of all of it.
                let span = Span::mixed_site().located_at(span);
                match &mut field {
                    Member::Named(name) => name.set_span(span),
                    Member::Unnamed(index) => index.span = span,
                }
                field
            });
            let value = quote_spanned!(span=> &#root #(.#fields)*);
            if placeholder.is_display {
                quote_spanned!(span=> #krate::__rt::shown(#value))
            } else {
                value
            }
        });
        quote!(::std::format!(#format, #(#values),*))
    }
}

impl Placeholder {
    /// Reads `job.customer` and `:03`; otherwise a message that says what to write instead.
    fn parse(value: &str, spec: &str) -> std::result::Result<Self, String> {
        let names_nothing =
            value.is_empty() || value.starts_with(|first: char| first.is_ascii_digit());
        if names_nothing {
            return Err(format!(
                "a placeholder names an argument: write `{{id}}` rather than `{{{value}{spec}}}`, and `{{{{` for a brace"
            ));
        }
        let mut parts = value.split('.');
        let root = parts.next().filter(|root| is_name(root));
        let fields: Option<Vec<_>> = parts.map(field).collect();
        match (root, fields) {
            (Some(root), Some(fields)) => Ok(Self {
                root: root.to_owned(),
                fields,
                // Not one of `Debug`'s or of the numbers' formats.
                is_display: !spec.ends_with(['?', 'x', 'X', 'o', 'b', 'e', 'E', 'p']),
            }),
            _ => Err(format!(
                "a placeholder is an argument or a field of one: for `{value}` write an expression, as in `lock_id = format!(..)`"
            )),
        }
    }

    /// The name with the hygiene of the argument, so that it resolves to that also where `macro_rules!` wrote one of the two.
    fn root(&self, function: &Function, literal: &LitStr) -> Ident {
        let mut names = function.nameable().into_iter();
        let bound = names.find(|name| name.unraw() == self.root);
        bound.map_or_else(
            || Ident::new(&self.root, literal.span()),
            |mut name| {
                name.set_span(name.span().located_at(literal.span()));
                name
            },
        )
    }
}

fn is_name(text: &str) -> bool {
    Ident::parse_any
        .parse_str(text)
        .is_ok_and(|name| name == text)
}

fn field(text: &str) -> Option<Member> {
    let member: Member = syn::parse_str(text).ok()?;
    // Without spaces and signs, which a parser passes over.
    let chars = text
        .chars()
        .all(|char| char.is_alphanumeric() || char == '_');
    chars.then_some(member)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> std::result::Result<(String, Vec<String>), String> {
        let literal = LitStr::new(text, proc_macro2::Span::call_site());
        match Template::parse(literal) {
            Ok(template) => {
                let placeholders = template.placeholders.into_iter().map(|placeholder| {
                    let fields = placeholder
                        .fields
                        .iter()
                        .map(|field| quote!(.#field).to_string());
                    format!("{}{}", placeholder.root, fields.collect::<String>()).replace(' ', "")
                });
                Ok((template.text, placeholders.collect()))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn format(text: &str) -> String {
        let literal = LitStr::new(text, proc_macro2::Span::call_site());
        Template::parse(literal).unwrap().format
    }

    #[test]
    fn formats() {
        for (text, format_of_it) in [
            ("{id}", "{}"),
            ("part:{part:03}!", "part:{:03}!"),
            ("{{{id:?}}}:{job.name:>9}", "{{{:?}}}:{:>9}"),
            ("{part:width$}", "{:width$}"),
        ] {
            assert_eq!(format(text), format_of_it, "{text}");
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
            ("{id:?}{part:03}", vec!["id", "part"]),
            ("{self}{self.id}", vec!["self", "self.id"]),
            ("{job.pair.0.name:x}", vec!["job.pair.0.name"]),
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
            ("{0.name}", "names an argument"),
            ("{:>4}", "names an argument"),
            ("{ id}", "is an argument or a field"),
            ("{id }", "is an argument or a field"),
            ("{a.b()}", "is an argument or a field"),
            ("{a.}", "is an argument or a field"),
            ("{a..b}", "is an argument or a field"),
            ("{a.-1}", "is an argument or a field"),
            ("{a. b}", "is an argument or a field"),
            ("{a + b}", "is an argument or a field"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn placeholders_are_bound_arguments() {
        let function =
            syn::parse_str("fn f<const N: u8>(self, a: u8, Point { x, y: b }: Point, (c, [d, ..]): T, r#type: u8) {}")
                .unwrap();
        let validate = |text| {
            let literal = LitStr::new(text, proc_macro2::Span::call_site());
            Template::parse(literal).unwrap().validate(&function)
        };
        assert!(validate("{a}{x}{b}{c}{d}{type}{N}{self.id}").is_ok());
        for text in ["{y}", "{Point}", "{f}", "{T}"] {
            assert!(validate(text).is_err(), "{text}");
        }
    }
}
