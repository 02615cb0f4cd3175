//! What the documentation of every public function says: what goes wrong, what becomes of a future that is dropped, and
//! how it is called. Compilers ask for none of that.

mod alerts;
mod pages;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{
    Attribute, Expr, ExprLit, File, FnArg, ImplItemFn, ItemFn, ItemImpl, ItemMacro, ItemTrait, Lit,
    Meta, ReturnType, Signature, TraitItemFn, Type, TypeParamBound, UseTree, Visibility,
};

#[test]
fn every_public_function_says_what_its_callers_have_to_know() {
    let functions = public_functions();
    // It finds them: those of builders, of modules, of macros, and those behind features.
    for known in [
        "own_session::acquire_async",
        "drain::drain_async",
        "side_effect::never_user",
        "configs::config",
    ] {
        assert!(functions.iter().any(|it| it.name == known), "{known}");
    }
    let missing: Vec<String> = functions
        .iter()
        .flat_map(|it| it.missing(&functions))
        .collect();
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn a_twin_leaves_to_the_other_one_all_but_its_cancel_safety() {
    let function = |text: &str| {
        let item: ItemFn = syn::parse_str(text).unwrap();
        Function {
            name: format!("file::{}", item.sig.ident),
            docs: Docs::of(&item.attrs),
            sig: item.sig,
        }
    };
    let blocking = || {
        function(
            "/// Waits.\n///\n/// # Errors\n/// Many.\n///\n/// ```\n/// wait();\n/// ```\n\
             pub fn wait() -> Result<(), Error> {}",
        )
    };
    let twin = |docs: &str| {
        function(&format!(
            "{docs}\npub async fn wait_async() -> Result<(), Error> {{}}"
        ))
    };
    let safe = "///\n/// # Cancel safety\n/// Waiting again is safe.";
    for (docs, missing) in [
        (format!("/// Like [`wait`](Type::wait).\n{safe}"), vec![]),
        (format!("/// Like [`Type::wait`].\n{safe}"), vec![]),
        (
            "/// Like [`wait`].".to_owned(),
            vec!["file::wait_async: # Cancel safety"],
        ),
        // Not about itself, not about a function that does not exist, and not only further down.
        (
            format!("/// Like [`wait_async`].\n{safe}"),
            vec!["file::wait_async: # Errors", "file::wait_async: an example"],
        ),
        (
            format!("/// Like [`run`].\n{safe}"),
            vec!["file::wait_async: # Errors", "file::wait_async: an example"],
        ),
        (
            format!("/// Waits.\n///\n/// Like [`wait`].\n{safe}"),
            vec!["file::wait_async: # Errors", "file::wait_async: an example"],
        ),
    ] {
        let functions = [blocking(), twin(&docs)];
        assert_eq!(functions[1].missing(&functions), missing, "{docs}");
    }
}

#[test]
fn every_attribute_says_what_becomes_of_a_future_that_is_dropped() {
    let file = parse(&root().join("pglock-macros/src/lib.rs"));
    let mut attributes = 0;
    for item in file.items {
        if let syn::Item::Fn(item) = item
            && matches!(item.vis, Visibility::Public(_))
        {
            attributes += 1;
            let docs = Docs::of(&item.attrs);
            assert!(docs.has_section("Cancel safety"), "{}", item.sig.ident);
        }
    }
    assert_eq!(attributes, 6);
}

/// Where an attribute is exported, rustdoc shows what is written there, and below it what is written at the macro.
#[test]
fn no_attribute_says_its_first_sentence_twice() {
    let words = |attributes: &[Attribute]| -> Vec<String> {
        let text: Vec<String> = attributes.iter().map_while(doc).collect();
        let text = text.join(" ").to_lowercase();
        let sentence = text.split(". ").next().unwrap_or_default();
        sentence.split_whitespace().map(str::to_owned).collect()
    };
    let mut of_macros = Vec::new();
    for item in parse(&root().join("pglock-macros/src/lib.rs")).items {
        if let syn::Item::Fn(item) = item {
            of_macros.push((item.sig.ident.to_string(), words(&item.attrs)));
        }
    }
    let mut exports = 0;
    for item in parse(&root().join("pglock/src/lib.rs")).items {
        let syn::Item::Use(item) = item else {
            continue;
        };
        let UseTree::Path(path) = &item.tree else {
            continue;
        };
        let UseTree::Name(name) = &*path.tree else {
            continue;
        };
        if path.ident != "pglock_macros" {
            continue;
        }
        exports += 1;
        let (_, of_macro) = of_macros.iter().find(|(of, _)| name.ident == of).unwrap();
        let exported = words(&item.attrs);
        let twice = of_macro
            .windows(4)
            .find(|run| exported.windows(4).any(|it| it == *run));
        assert!(twice.is_none(), "{}: {twice:?}", name.ident);
    }
    assert_eq!(exports, 6);
}

#[test]
fn headings_in_examples_or_over_nothing_and_files_are_not_sections() {
    let function: ItemFn = syn::parse_str(
        "/// ```\n/// # Errors\n/// text\n/// ```\n/// # Panics\n///\n/// # Cancel safety\n/// None.\n\
         #[doc = include_str!(\"file\")]\nfn f() {}",
    )
    .unwrap();
    let docs = Docs::of(&function.attrs);
    assert_eq!(docs.sections, ["Cancel safety".to_owned()].into());
    assert!(docs.example);
}

/// A public function.
struct Function {
    /// Its file, and its own name.
    name: String,
    sig: Signature,
    docs: Docs,
}

impl Function {
    /// What is not written here, nor in the documentation of the function that this one says it is like. `all` are the
    /// functions to look for that one in. What becomes of a dropped future, only the async twin can say.
    fn missing(&self, all: &[Self]) -> Vec<String> {
        let says = |what: fn(&Docs) -> bool| {
            let mut like = all.iter().filter(|it| self.docs.is_like(&it.own_name()));
            what(&self.docs) || like.any(|it| what(&it.docs))
        };
        let mut missing = Vec::new();
        if self.is_async() && !self.docs.has_section("Cancel safety") {
            missing.push("# Cancel safety");
        }
        if self.returns("Result") && !says(|docs| docs.has_section("Errors")) {
            missing.push("# Errors");
        }
        if !self.only_asks() && !says(|docs| docs.example) {
            missing.push("an example");
        }
        let said = missing.iter().map(|it| format!("{}: {it}", self.name));
        said.collect()
    }

    fn own_name(&self) -> String {
        self.sig.ident.to_string()
    }

    fn is_async(&self) -> bool {
        let is_future = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Trait(bound) if is_called(&bound.path, "Future"));
        self.sig.asyncness.is_some()
            || matches!(&self.sig.output, ReturnType::Type(_, ty)
                if matches!(&**ty, Type::ImplTrait(ty) if ty.bounds.iter().any(is_future)))
    }

    fn returns(&self, name: &str) -> bool {
        matches!(&self.sig.output, ReturnType::Type(_, ty)
            if matches!(&**ty, Type::Path(ty) if is_called(&ty.path, name)))
    }

    /// Whether it only says what a value knows already, which has nothing to be shown: `error.is_busy()`.
    fn only_asks(&self) -> bool {
        let takes_only_self =
            self.sig.inputs.len() == 1 && matches!(self.sig.inputs[0], FnArg::Receiver(_));
        takes_only_self && !self.is_async() && !self.returns("Result") && !self.returns("Self")
    }
}

fn is_called(path: &syn::Path, name: &str) -> bool {
    path.segments.last().is_some_and(|it| it.ident == name)
}

/// What is written above a function. Only what is written there: a file that it includes may be about something else.
#[derive(Default)]
struct Docs {
    /// The headings with text below them, outside of examples, whose hidden lines begin with `#` too.
    sections: HashSet<String>,
    example: bool,
    /// The function that the first line says this one is like: `Like [`fetch`](Locks::fetch)`.
    like: Option<String>,
}

impl Docs {
    fn of(attributes: &[Attribute]) -> Self {
        let mut docs = Self::default();
        let mut in_code = false;
        let mut section = None;
        let mut first = true;
        for text in attributes.iter().filter_map(doc) {
            for line in text.lines().map(str::trim) {
                if std::mem::take(&mut first) {
                    docs.like = like(line);
                }
                if let Some(info) = line.strip_prefix("```") {
                    in_code = !in_code;
                    docs.example |= in_code && !info.contains("text") && !info.contains("ignore");
                } else if in_code || line.is_empty() {
                    // Says nothing of a section.
                } else if let Some(heading) = line.strip_prefix("# ") {
                    section = Some(heading.to_owned());
                } else {
                    docs.sections.extend(section.clone());
                }
            }
        }
        docs
    }

    fn has_section(&self, heading: &str) -> bool {
        self.sections.contains(heading)
    }

    fn is_like(&self, name: &str) -> bool {
        self.like.as_deref() == Some(name)
    }
}

/// As `fetch` of "Like [`Locks::fetch`], for an async connection."
fn like(line: &str) -> Option<String> {
    let (path, _) = line.strip_prefix("Like [`")?.split_once("`]")?;
    path.rsplit("::").next().map(str::to_owned)
}

fn doc(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Looks for public functions in a file: those that `lib.rs` exports, those of types and traits that it exports, and
/// all that are written in macros.
struct Finder<'a> {
    exported: &'a HashSet<String>,
    file: String,
    found: Vec<Function>,
}

impl Finder<'_> {
    fn add(&mut self, attributes: &[Attribute], sig: &Signature) {
        self.found.push(Function {
            name: format!("{}::{}", self.file, sig.ident),
            sig: sig.clone(),
            docs: Docs::of(attributes),
        });
    }

    fn exports(&self, name: &syn::Ident) -> bool {
        self.exported.contains(&name.to_string())
    }

    fn method(&mut self, method: &ImplItemFn) {
        if matches!(method.vis, Visibility::Public(_)) {
            self.add(&method.attrs, &method.sig);
        }
    }

    /// A macro's text is no Rust before it is expanded, but heads of functions are, without the `$`.
    fn in_macro(&mut self, tokens: TokenStream) {
        let mut item = Vec::new();
        for token in tokens {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let body = Group::new(Delimiter::Brace, TokenStream::new());
                    item.push(TokenTree::from(body));
                    match syn::parse2::<ImplItemFn>(item.drain(..).collect()) {
                        Ok(method) => self.method(&method),
                        Err(_) => self.in_macro(group.stream()),
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == '$' => {}
                TokenTree::Punct(punct) if punct.as_char() == ';' => item.clear(),
                token => item.push(token),
            }
        }
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if matches!(item.vis, Visibility::Public(_)) && self.exports(&item.sig.ident) {
            self.add(&item.attrs, &item.sig);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let Type::Path(ty) = &*item.self_ty
            && let Some(segment) = ty.path.segments.last()
            && self.exports(&segment.ident)
            && item.trait_.is_none()
        {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, method: &'ast ImplItemFn) {
        self.method(method);
    }

    /// The example of a trait shows how it is implemented.
    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if self.exports(&item.ident) {
            let others = self.found.len();
            visit::visit_item_trait(self, item);
            let example = Docs::of(&item.attrs).example;
            for function in &mut self.found[others..] {
                function.docs.example |= example;
            }
        }
    }

    fn visit_trait_item_fn(&mut self, method: &'ast TraitItemFn) {
        self.add(&method.attrs, &method.sig);
    }

    fn visit_item_macro(&mut self, item: &'ast ItemMacro) {
        if item.mac.path.is_ident("macro_rules") {
            self.in_macro(item.mac.tokens.clone());
        }
    }
}

fn public_functions() -> Vec<Function> {
    let source = root().join("pglock/src");
    let mut exported = HashSet::new();
    for item in parse(&source.join("lib.rs")).items {
        if let syn::Item::Use(item) = item
            && matches!(item.vis, Visibility::Public(_))
        {
            names(&item.tree, &mut exported);
        }
    }
    let files = rust_files(&source).into_iter().flat_map(|path| {
        let mut finder = Finder {
            exported: &exported,
            file: module(&path),
            found: Vec::new(),
        };
        finder.visit_file(&parse(&path));
        finder.found
    });
    files.collect()
}

/// The names that a `use` makes.
fn names(tree: &UseTree, found: &mut HashSet<String>) {
    match tree {
        UseTree::Path(path) => names(&path.tree, found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| names(tree, found)),
        UseTree::Name(name) => {
            found.insert(name.ident.to_string());
        }
        UseTree::Rename(_) | UseTree::Glob(_) => panic!("`*` and `as` hide which names there are"),
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// As `prioritize` for `prioritize.rs` and for `prioritize/mod.rs`.
fn module(path: &Path) -> String {
    let path = path.with_extension("");
    let path = if path.ends_with("mod") {
        path.parent().unwrap()
    } else {
        &path
    };
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn parse(path: &Path) -> File {
    syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
