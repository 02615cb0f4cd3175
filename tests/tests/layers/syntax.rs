//! What the checker asks of single items.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Item, ItemUse, Lit, Meta, Token, UseTree};

/// One name of a `use` line.
pub(crate) struct Used {
    pub(crate) path: Vec<String>,
    /// What it is called here; none for `*` and `_`.
    pub(crate) name: Option<String>,
    pub(crate) is_glob: bool,
    pub(crate) line: usize,
}

/// The names of a `use` line, of `use a::{b, c::*}` for example `a::b` and `a::c`, which is a glob.
pub(crate) fn used(item: &ItemUse) -> Vec<Used> {
    let mut found = Vec::new();
    // `use ::a` is another crate's.
    if item.leading_colon.is_none() {
        let line = item.use_token.span.start().line;
        add_names(&item.tree, &[], line, &mut found);
    }
    found
}

fn add_names(tree: &UseTree, path: &[String], line: usize, found: &mut Vec<Used>) {
    // The `self` of `a::{self}` is `a`.
    let with = |ident: &Ident| match ident.to_string() {
        it if it == "self" && !path.is_empty() => path.to_vec(),
        it => [path, &[it]].concat(),
    };
    let mut add = |path: Vec<String>, name: Option<String>, is_glob, line| {
        found.push(Used {
            path,
            name,
            is_glob,
            line,
        });
    };
    match tree {
        UseTree::Path(tree) => {
            let line = tree.ident.span().start().line;
            add_names(&tree.tree, &with(&tree.ident), line, found);
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                add_names(tree, path, line, found);
            }
        }
        UseTree::Name(name) => {
            let path = with(&name.ident);
            let last = path.last().cloned();
            add(path, last, false, name.ident.span().start().line);
        }
        UseTree::Rename(name) => {
            let alias = Some(name.rename.to_string()).filter(|it| it != "_");
            let line = name.ident.span().start().line;
            add(with(&name.ident), alias, false, line);
        }
        UseTree::Glob(_) => add(path.to_vec(), None, true, line),
    }
}

/// Whether it is compiled in tests alone.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    fn asks_for_tests(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test") || path.is_ident("doctest"),
            Meta::List(list) if list.path.is_ident("all") => {
                let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
                parts.is_ok_and(|parts| parts.iter().any(asks_for_tests))
            }
            _ => false,
        }
    }
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args()
                .is_ok_and(|meta| asks_for_tests(&meta))
    })
}

/// The file that an attribute of a `mod` names, if only with some features.
pub(crate) fn path_attribute(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(path),
                ..
            }) => Some(path.value()),
            _ => None,
        },
        Meta::List(list) if list.path.is_ident("cfg_attr") => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            parts.ok()?.iter().skip(1).find_map(path_attribute)
        }
        _ => None,
    }
}

/// The name that an item makes in its module.
pub(crate) fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
