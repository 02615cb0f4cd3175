//! What each file imports: its `use` lines, and the paths in its code.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, ImplItem, Item, ItemMod, ItemUse, Macro, Path, Stmt, Variant, VisRestricted,
    Visibility,
};

use crate::modules::{Crate, Target};
use crate::syntax::{attributes, is_for_tests, used};

/// Their tokens are the code that they make, whose paths are those of where it is put.
const QUOTING: [&str; 4] = [
    "quote",
    "quote_spanned",
    "parse_quote",
    "parse_quote_spanned",
];

pub(crate) struct Import {
    /// The file that imports, and the one that is imported, by their places in `Crate::files`.
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) line: usize,
    /// As it is written, without the braces of a `use` line.
    pub(crate) path: String,
    /// For what `lib.rs` re-exports: the path to write.
    pub(crate) real_path: Option<String>,
}

/// The imports of all files, without those of themselves.
pub(crate) fn imports(of: &Crate) -> Vec<Import> {
    let files = 0..of.files.len();
    files.flat_map(|file| imports_of(of, file)).collect()
}

fn imports_of(of: &Crate, file: usize) -> Vec<Import> {
    let mut finder = Finder {
        of,
        module: of.files[file].module,
        found: Vec::new(),
        names: HashSet::new(),
    };
    finder.visit_file(&of.files[file].syntax);
    let Finder { found, names, .. } = finder;
    let found = found.into_iter().filter(|found| {
        // A `mod.rs` that passes on what its own folder defines doesn't import it, unless its code names it.
        let only_passes_on = found.passes_on.as_ref();
        let only_passes_on = only_passes_on.is_some_and(|name| !names.contains(name));
        !(only_passes_on && of.is_below(found.target.file, file))
    });
    let imports = found.map(|found| Import {
        from: file,
        to: found.target.file,
        line: found.line,
        path: found.path,
        real_path: found.target.real_path,
    });
    imports.filter(|it| it.from != it.to).collect()
}

struct Found {
    target: Target,
    line: usize,
    path: String,
    /// The name that a re-export makes.
    passes_on: Option<String>,
}

struct Finder<'a> {
    of: &'a Crate,
    /// The module that the code is in.
    module: usize,
    found: Vec<Found>,
    /// What the code's paths begin with.
    names: HashSet<String>,
}

impl Finder<'_> {
    fn path(&mut self, path: &[String], line: usize) {
        self.names.extend(path.first().cloned());
        // `Error::busy` is part of what the line imports that says where `Error` is.
        if path.len() > 1 && self.of.leads_to_module(self.module, &path[..1]) {
            self.add(path, &path.join("::"), line, None);
        }
    }

    fn add(&mut self, path: &[String], written: &str, line: usize, passes_on: Option<&String>) {
        for target in self.of.resolve(self.module, path) {
            self.found.push(Found {
                target,
                line,
                path: written.to_owned(),
                passes_on: passes_on.cloned(),
            });
        }
    }

    /// The paths in a macro's tokens, which are not Rust before they are expanded.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let ident = |at: usize| match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => Some(ident),
            _ => None,
        };
        let colons = |at: usize| {
            let is_colon =
                |at| matches!(tokens.get(at), Some(TokenTree::Punct(it)) if it.as_char() == ':');
            is_colon(at) && is_colon(at + 1)
        };
        let mut at = 0;
        while at < tokens.len() {
            if let TokenTree::Group(group) = &tokens[at] {
                self.tokens(group.stream());
            }
            if let Some(first) = ident(at) {
                let line = first.span().start().line;
                // `::a` is another crate's; the `new` of `Vec::<T>::new` begins no path.
                let begins = at < 2 || !colons(at - 2);
                let mut path = vec![first.to_string()];
                while let (true, Some(next)) = (colons(at + 1), ident(at + 3)) {
                    path.push(next.to_string());
                    at += 3;
                }
                if begins {
                    self.path(&path, line);
                }
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Const(item) => &item.attrs,
            ImplItem::Fn(item) => &item.attrs,
            ImplItem::Type(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if !is_for_tests(&arm.attrs) {
            visit::visit_arm(self, arm);
        }
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        if !is_for_tests(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if !matches!(statement, Stmt::Local(local) if is_for_tests(&local.attrs)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        // That of another file is read with that file.
        if item.content.is_some()
            && let Some(child) = self.of.child(self.module, &item.ident.to_string())
        {
            let parent = std::mem::replace(&mut self.module, child);
            visit::visit_item_mod(self, item);
            self.module = parent;
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_private = matches!(item.vis, Visibility::Inherited);
        for it in used(item) {
            let written = it.path.join("::") + if it.is_glob { "::*" } else { "" };
            let passes_on = it.name.as_ref().filter(|_| !is_private);
            self.add(&it.path, &written, it.line, passes_on);
        }
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            let names: Vec<String> = path
                .segments
                .iter()
                .map(|it| it.ident.to_string())
                .collect();
            self.path(&names, path.segments[0].ident.span().start().line);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, makro: &'ast Macro) {
        visit::visit_macro(self, makro);
        let quotes = |name: &syn::Ident| QUOTING.iter().any(|it| name == it);
        if !makro
            .path
            .segments
            .last()
            .is_some_and(|it| quotes(&it.ident))
        {
            self.tokens(makro.tokens.clone());
        }
    }

    /// `pub(in crate::a)` says who may import, and imports nothing.
    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {}

    /// Links in documentation may lead anywhere.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}
