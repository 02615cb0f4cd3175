//! The files in `expansions/`: an annotated function as a comment, and what it expands to.
//!
//! `UPDATE_EXPANSIONS=1 cargo test -p pglock-macros expansions` writes them anew; a new one starts as its comment alone.

use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{ItemFn, Meta};

use crate::nest::expand;

#[test]
fn expansions() {
    let update = env::var_os("UPDATE_EXPANSIONS").is_some();
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let (input, _) = split(&text);
        let expected = format!("{input}\n{}", pretty_expansion(&path, input));
        if update {
            fs::write(&path, expected).unwrap();
        } else {
            assert!(
                text == expected,
                "{} is out of date: run `UPDATE_EXPANSIONS=1 cargo test -p pglock-macros expansions` and read what changed; now:\n{expected}",
                path.display(),
            );
        }
    }
}

#[test]
fn comments_name_files_that_exist() {
    let expansions: Vec<_> = files()
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let mut named = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split(concat!("expansions", "/")).skip(1) {
            let end = rest.find(".rs").map(|end| end + ".rs".len());
            let Some(name) = end
                .map(|end| &rest[..end])
                .filter(|name| !name.contains(' '))
            else {
                continue;
            };
            assert!(
                expansions.iter().any(|known| known == name),
                "{}: {name}",
                path.display()
            );
            named += 1;
        }
    }
    assert!(named > 15, "{named}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expansions");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The comment that a file starts with, and the rest.
fn split(text: &str) -> (&str, &str) {
    let comment: usize = text
        .split_inclusive('\n')
        .take_while(|line| line.starts_with("//"))
        .map(str::len)
        .sum();
    text.split_at(comment)
}

fn pretty_expansion(path: &Path, comment: &str) -> String {
    let source = comment.replace("// ", "");
    let mut function: ItemFn = syn::parse_str(&source).unwrap();
    let attribute = function.attrs.remove(0);
    let name = attribute.path().segments.last().unwrap().ident.to_string();
    let arguments = match attribute.meta {
        Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    };
    let expanded = expand(&name, &arguments, &function.to_token_stream());
    let file = syn::parse2(expanded).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    prettyplease::unparse(&file)
}
