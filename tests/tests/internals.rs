//! The pages for those who change pglock, CONTRIBUTING.md among them, name files and folders. They move; the names on the
//! pages have to follow.

use std::fs;
use std::path::{Path, PathBuf};

/// Where the paths on the pages begin. The repository itself is the first.
const ROOTS: [&str; 6] = [
    "",
    "pglock/src",
    "pglock-cli/src",
    "pglock-macros/src",
    "tests",
    "tests/tests",
];

#[test]
fn every_path_on_the_pages_exists() {
    let mut found = 0;
    let mut missing = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let mut is_drawing = false;
        for (number, line) in text.lines().enumerate() {
            if line.starts_with("```") {
                is_drawing = !is_drawing;
                continue;
            }
            // A bare name like `model.rs` belongs to the folder that is named before it.
            let mut folder = None;
            for path in paths_of(line, is_drawing) {
                found += 1;
                match locate(&path, folder.as_deref()) {
                    Some(place) if place.is_dir() => folder = Some(place),
                    Some(_) => {}
                    None => missing.push(format!("{}:{}: {path}", page.display(), number + 1)),
                }
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
    assert!(found > 60, "only {found} paths found");
}

#[test]
fn paths_are_told_from_other_words() {
    let in_prose = |line| paths_of(line, false);
    assert_eq!(
        in_prose("`a/b.rs`, `c.rs` and `d/`"),
        ["a/b.rs", "c.rs", "d/"]
    );
    assert_eq!(in_prose("`a/{b,c}.rs`"), ["a/b.rs", "a/c.rs"]);
    assert!(in_prose("a/b.rs, `check`, `a / b`, `f()/2`, `<a>/b`, `pglock.toml`").is_empty());
    assert_eq!(
        paths_of("rt.rs ──► a/b ──► (a channel)", true),
        ["rt.rs", "a/b"]
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn pages() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("docs/internals")).unwrap();
    let mut pages: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    pages.sort();
    pages.push(root().join("CONTRIBUTING.md"));
    pages
}

/// The paths in a line: in code between backticks, or, in a drawing, in any word.
fn paths_of(line: &str, is_drawing: bool) -> Vec<String> {
    let words: Vec<&str> = if is_drawing {
        line.split_whitespace().collect()
    } else {
        line.split('`').skip(1).step_by(2).collect()
    };
    let paths = words.into_iter().filter(|word| is_path(word));
    paths.flat_map(alternatives).collect()
}

fn is_path(word: &str) -> bool {
    let is_bare_file = Path::new(word).extension().is_some_and(|it| it == "rs");
    // Absolute paths, and what cargo builds, are not part of the repository.
    let is_elsewhere = word.starts_with(['/', '-']) || word.starts_with("target");
    (word.contains('/') || is_bare_file)
        && !is_elsewhere
        && word
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || "/._-{},".contains(it))
}

/// `a/{b,c}.rs` names `a/b.rs` and `a/c.rs`.
fn alternatives(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else {
        return vec![path.to_owned()];
    };
    let (names, after) = rest.split_once('}').unwrap();
    let names = names.split(',');
    names.map(|name| format!("{before}{name}{after}")).collect()
}

fn locate(path: &str, folder: Option<&Path>) -> Option<PathBuf> {
    let roots = ROOTS.iter().map(|it| root().join(it));
    let mut places = folder.map(Path::to_owned).into_iter().chain(roots);
    places.find_map(|place| Some(place.join(path)).filter(|it| it.exists()))
}
