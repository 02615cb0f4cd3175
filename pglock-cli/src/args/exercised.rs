//! That a test of the binary uses each command, each of its options, and each word that an option takes.

use std::fs;
use std::path::Path;

use clap::{Arg, Command};

/// A test with what stands behind it in its file, and before all of them, as it is written; and what the file is about.
struct Test {
    about: String,
    text: String,
}

impl Test {
    fn has(&self, literal: &str) -> bool {
        self.text.contains(&format!("\"{literal}\""))
            || self.text.contains(&format!("\"{literal}="))
    }

    fn is_about(&self, names: &[String]) -> bool {
        let is_in_path = |name: &String| self.about.split('/').any(|part| part == name);
        names.iter().any(|name| is_in_path(name) || self.has(name))
    }
}

fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let about = path.strip_prefix(&root).unwrap().with_extension("");
            let text = fs::read_to_string(&path).unwrap();
            let (of_all, text) = text.split_once("#[test]").unwrap_or((&text, ""));
            tests.extend(text.split("#[test]").map(|text| Test {
                about: about.display().to_string(),
                text: format!("{of_all}{text}"),
            }));
        }
    }
    tests
}

/// What can be written for it.
fn written(option: &Arg) -> Vec<String> {
    let short = option.get_short().map(|short| format!("-{short}"));
    let long = option.get_long().map(|long| format!("--{long}"));
    short.into_iter().chain(long).collect()
}

fn words(option: &Arg) -> Vec<String> {
    let words = option.get_possible_values();
    let words = words.iter().map(|word| word.get_name().to_owned());
    let is_flag = !option.get_action().takes_values();
    words.filter(|_| !is_flag).collect()
}

/// What of the command no test uses that is about it.
fn missing(command: &Command, tests: &[&Test], missing: &mut Vec<String>) {
    let name = command.get_name();
    for option in command.get_arguments() {
        let written = written(option);
        let is_help = ["help", "version"].contains(&option.get_id().as_str());
        let has = |test: &&&Test| written.iter().any(|word| test.has(word));
        let with_it: Vec<_> = tests.iter().filter(has).collect();
        if !written.is_empty() && !is_help && with_it.is_empty() {
            missing.push(format!("{name} {}", written.join(", ")));
        }
        for word in words(option) {
            // An argument has no name that is written.
            let mut tests = tests.iter().filter(|test| written.is_empty() || has(test));
            if !tests.any(|test| test.has(&word)) {
                missing.push(format!("{name} {} {word}", written.join(", ")));
            }
        }
    }
}

#[test]
fn each_option_and_each_of_its_words_is_used_by_a_test() {
    let tests = tests();
    let command = super::command();
    let mut unused = Vec::new();
    missing(&command, &tests.iter().collect::<Vec<_>>(), &mut unused);
    for of in command.get_subcommands().filter(|of| !of.is_hide_set()) {
        let aliases = of.get_all_aliases().map(str::to_owned);
        let names: Vec<_> = aliases.chain([of.get_name().to_owned()]).collect();
        for name in &names {
            if !tests.iter().any(|test| test.has(name)) {
                unused.push(name.clone());
            }
        }
        let about: Vec<_> = tests.iter().filter(|test| test.is_about(&names)).collect();
        missing(of, &about, &mut unused);
    }
    assert!(unused.is_empty(), "no test uses {}", unused.join("; "));
}
