//! What the compiler says: the pages quote it as it is, each quote being the whole of one `.stderr` file, and it says
//! nothing of what users cannot look up.

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn the_pages_quote_what_the_compiler_says() {
    let said: Vec<String> = files(&root().join("trybuild/ui"), "stderr")
        .iter()
        .map(|path| comparable(&fs::read_to_string(path).unwrap()))
        .collect();
    let mut quotes = 0;
    let pages = files(&root().join("docs/guide"), "md");
    for page in pages.into_iter().chain([root().join("README.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = text.split("```").skip(1).step_by(2);
        for block in blocks.filter_map(|block| block.strip_prefix("text\n")) {
            if !block.starts_with("error:") && !block.starts_with("error[") {
                continue;
            }
            assert!(
                said.contains(&comparable(block)),
                "{}: no `.stderr` file says this:\n{block}",
                page.display()
            );
            quotes += 1;
        }
    }
    assert!(quotes > 0);
}

#[test]
fn no_message_names_a_hidden_path() {
    for file in files(&root().join("trybuild/ui"), "stderr") {
        let said = fs::read_to_string(&file).unwrap();
        assert!(!said.contains("__rt"), "{}:\n{said}", file.display());
    }
}

/// Without the name of the file that the compiler points to.
fn comparable(text: &str) -> String {
    let lines = text
        .trim()
        .lines()
        .map(|line| match line.split_once("--> ") {
            Some((_, place)) => place
                .split_once(':')
                .map_or(place, |(_, position)| position),
            None => line.trim_end(),
        });
    lines.collect::<Vec<_>>().join("\n")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let found = paths.flat_map(|path| {
        if path.is_dir() {
            files(&path, extension)
        } else {
            vec![path]
        }
    });
    found
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
