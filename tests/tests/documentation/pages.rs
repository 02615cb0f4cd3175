//! The pages: links lead somewhere, and what is copied from the library is still there.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{root, rust_files};

#[test]
fn links_between_pages_lead_to_files_and_headings() {
    let mut links = 0;
    for page in pages() {
        for target in links_of(&fs::read_to_string(&page).unwrap()) {
            let (file, heading) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            assert!(file.exists(), "{}: {target}", page.display());
            assert!(
                heading.is_empty() || headings(&file).contains(heading),
                "{}: {target}",
                page.display()
            );
            links += 1;
        }
    }
    assert!(links > 50, "{links}");
}

/// Rustdoc checks the page of such a link, and not its heading.
#[test]
fn links_from_the_library_lead_to_headings_of_the_guide() {
    let mut links = 0;
    for file in rust_files(&root().join("pglock/src")) {
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("_guide::").skip(1) {
            let end = link.find(|it: char| !it.is_ascii_lowercase() && !"_#-".contains(it));
            let link = &link[..end.unwrap_or(link.len())];
            if let Some((module, heading)) = link.split_once('#') {
                let page = format!("docs/guide/{}.md", module.replace('_', "-"));
                let headings = headings(&root().join(page));
                assert!(headings.contains(heading), "{}: {link}", file.display());
                links += 1;
            }
        }
    }
    assert!(links > 5, "{links}");
}

#[test]
fn every_kind_of_error_is_linked_to_what_to_do() {
    let source = page("pglock/src/error/mod.rs");
    let kinds = source.split("pub enum ErrorKind {").nth(1).unwrap();
    let kinds = kinds.split("\n}").next().unwrap();
    let mut docs = String::new();
    let lines = kinds.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        if line.starts_with("///") {
            docs += line;
            continue;
        }
        let kind = line.strip_suffix(',');
        let kind = kind.unwrap_or_else(|| panic!("it reads kinds without fields: {line}"));
        let link = format!("do](crate::_guide::errors#{})", kind.to_lowercase());
        assert!(docs.contains(&link), "{kind}");
        docs.clear();
    }
    assert!(kinds.contains("Busy,"), "{kinds}");
}

#[test]
fn every_page_of_the_guide_is_a_module_and_linked_from_the_readme_or_another_page() {
    let modules = fs::read_to_string(root().join("pglock/src/guide.rs")).unwrap();
    let linked: HashSet<String> = (pages().iter())
        .flat_map(|page| links_of(&fs::read_to_string(page).unwrap()))
        .filter_map(|target| Some(target.split('#').next()?.rsplit('/').next()?.to_owned()))
        .collect();
    for page in markdown(&root().join("docs/guide")) {
        let name = page.file_name().unwrap().to_str().unwrap();
        assert!(modules.contains(&format!("\"{name}\"")), "{name}");
        assert!(linked.contains(name), "{name}");
    }
}

/// A text that is looked up was copied from an error: it is found there word for word, but for what `..` leaves out.
#[test]
fn every_text_on_the_page_of_errors_is_one_of_the_library() {
    let source: String = rust_files(&root().join("pglock/src"))
        .iter()
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let mut texts = 0;
    for row in page("docs/guide/errors.md").lines() {
        // A text that contains code has two backticks around it.
        let Some(cell) = row.strip_prefix("| `") else {
            continue;
        };
        let cell = cell.split(" | ").next().unwrap();
        let cell = match cell.strip_prefix('`') {
            Some(cell) => cell.trim_end_matches('`').trim(),
            None => cell.strip_suffix('`').unwrap(),
        };
        for text in cell.split("`, `").flat_map(|it| it.split("..")) {
            assert!(source.contains(text.trim()), "{text}");
            texts += 1;
        }
    }
    assert!(texts > 50, "{texts}");
}

#[test]
fn alerts_and_the_dashboard_ask_for_metrics_that_there_are() {
    let metrics = page("pglock/src/telemetry/metrics.rs");
    let described = page("docs/guide/observability.md");
    let mut found = HashSet::new();
    for file in ["docs/guide/runbook.md", "docs/grafana/pglock.json"] {
        let text = page(file).replace("\\\"", "\"");
        for (at, _) in text.match_indices("pglock_") {
            let rest = &text[at..];
            let name = &rest[..rest
                .find(|it: char| it != '_' && !it.is_ascii_lowercase())
                .unwrap()];
            // What exporters make of a histogram.
            let name = ["_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name);
            assert!(metrics.contains(&format!("\"{name}\"")), "{file}: {name}");
            assert!(described.contains(&format!("`{name}`")), "{file}: {name}");
            found.insert(name.to_owned());
        }
        for label in ["outcome", "role", "action"] {
            for values in text.split(&format!("{label}=")).skip(1) {
                let values = values.trim_start_matches('~').trim_start_matches('"');
                for value in values.split('"').next().unwrap().split('|') {
                    assert!(described.contains(&format!("`{value}`")), "{file}: {value}");
                }
            }
        }
    }
    assert_eq!(found.len(), metrics.matches(": &str = \"pglock_").count());
}

fn page(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// All pages that people read in the repository.
fn pages() -> Vec<PathBuf> {
    let folders = ["", "docs", "docs/guide", "docs/internals"];
    folders
        .iter()
        .flat_map(|it| markdown(&root().join(it)))
        .collect()
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let files = entries.map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect()
}

/// The lines outside of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(str::lines)
}

/// Where the links of a page lead inside the repository: `[text](target)` and `[name]: target`.
fn links_of(text: &str) -> Vec<String> {
    let mut targets = Vec::new();
    for line in prose(text) {
        let inline = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        targets.extend(inline.map(|(target, _)| target.to_owned()));
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            targets.push(target.to_owned());
        }
    }
    targets.retain(|target| !target.contains("://"));
    targets
}

/// The anchors that the headings of a page get.
fn headings(page: &Path) -> HashSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let headings = prose(&text).filter_map(|line| {
        line.trim_start_matches('#')
            .strip_prefix(' ')
            .filter(|_| line.starts_with('#'))
    });
    let anchor = |heading: &str| {
        heading.to_lowercase().replace(' ', "-").replace(
            |it: char| !it.is_alphanumeric() && it != '-' && it != '_',
            "",
        )
    };
    headings.map(anchor).collect()
}
