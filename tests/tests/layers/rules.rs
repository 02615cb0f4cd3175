//! The rules, and what is said of a file that breaks one.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::circles;
use crate::imports::{Import, imports};
use crate::modules::Crate;

/// In a folder, apart from its `mod.rs`.
const MOST_FILES: usize = 12;

/// In a file, unless a line of its header says why it is longer.
const MOST_LINES: usize = 450;
const LONG_BECAUSE: &str = "//! Long because";

/// A sentence for each break of a rule. `layers` are the folders and files of the crate's own folder, the lowest first.
pub(crate) fn broken(of: &Crate, layers: &[&str]) -> Vec<String> {
    let layer = |file: usize| layer(&of.files[file].path, layers);
    // What files in no layer import is left until they are in one.
    let (upward, level): (Vec<Import>, Vec<Import>) = imports(of)
        .into_iter()
        .filter(|import| layer(import.from).is_some() && layer(import.to).is_some())
        .partition(|import| layer(import.from) < layer(import.to));
    let mut broken = outside_of_layers(of, layers);
    broken.extend(upward.iter().map(|import| runs_upward(of, layers, import)));
    // Through several layers a circle has an import that runs upward.
    broken.extend(in_circles(of, &level));
    broken.extend(crowded_folders(of));
    broken.extend(long_files(of));
    broken.extend(statics_with_a_lock(of));
    broken
}

fn layer(path: &str, layers: &[&str]) -> Option<usize> {
    let top = path.split('/').next();
    layers.iter().position(|it| Some(*it) == top)
}

fn outside_of_layers(of: &Crate, layers: &[&str]) -> Vec<String> {
    let files = of.files.iter().map(|file| &file.path);
    let outside = files.filter(|path| layer(path, layers).is_none());
    let sentences = outside.map(|path| {
        format!(
            "{}/{path} is in no layer: move it into the folder of one ({}), or name its own in tests/tests/layers/main.rs",
            of.folder,
            layers.join(", "),
        )
    });
    sentences.collect()
}

fn runs_upward(of: &Crate, layers: &[&str], import: &Import) -> String {
    let place = place(of, import);
    if let Some(real_path) = &import.real_path {
        return format!(
            "{place} imports `{}` from lib.rs, which is above all layers: write `{real_path}`",
            import.path
        );
    }
    let name = |file: usize| layer(&of.files[file].path, layers).map_or("", |it| layers[it]);
    let low = name(import.from);
    format!(
        "{place} imports `{}` of {}, but {low} is below {}: move what both need to {low} or lower",
        import.path,
        of.files[import.to].path,
        name(import.to),
    )
}

fn in_circles(of: &Crate, imports: &[Import]) -> Vec<String> {
    let wholes = wholes(of, imports);
    let edges = imports.iter().map(|it| (wholes[it.from], wholes[it.to]));
    let edges: Vec<(usize, usize)> = edges.collect();
    let between: Vec<usize> = (0..edges.len())
        .filter(|&edge| edges[edge].0 != edges[edge].1)
        .collect();
    let edges: Vec<(usize, usize)> = between.iter().map(|&edge| edges[edge]).collect();
    let circles = circles(of.files.len(), &edges);
    let sentences = circles.iter().map(|circle| {
        let steps = circle.iter().map(|&edge| {
            let import = &imports[between[edge]];
            let to = &of.files[import.to].path;
            format!(
                "\n    {} imports `{}` of {to}",
                place(of, import),
                import.path
            )
        });
        format!(
            "{} files import each other in a circle: move what they share to a file of its own{}",
            circle.len(),
            steps.collect::<String>()
        )
    });
    sentences.collect()
}

/// For each file the one that it is a part of: its `mod.rs`, if nothing else imports it, or else itself. The two are one
/// subject in two files, and may import each other.
fn wholes(of: &Crate, imports: &[Import]) -> Vec<usize> {
    let mut wholes: Vec<usize> = (0..of.files.len()).collect();
    // Parents come before their children.
    for file in 0..of.files.len() {
        let importers = imports.iter().filter(|it| it.to == file);
        let importers: BTreeSet<usize> = importers.map(|it| it.from).collect();
        if importers.len() == 1
            && let Some(&parent) = importers.first()
            && of.is_below(file, parent)
        {
            wholes[file] = wholes[parent];
        }
    }
    wholes
}

fn place(of: &Crate, import: &Import) -> String {
    let path = &of.files[import.from].path;
    format!("{}/{path}:{}", of.folder, import.line)
}

fn crowded_folders(of: &Crate) -> Vec<String> {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for path in of.texts.keys() {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name != "mod.rs" && name != "lib.rs" {
            *folders.entry(folder).or_default() += 1;
        }
    }
    let crowded = folders.into_iter().filter(|&(_, files)| files > MOST_FILES);
    let sentences = crowded.map(|(folder, files)| {
        format!(
            "{}/{folder} has {files} files apart from its mod.rs, more than {MOST_FILES}: put those of one subject into a folder of their own",
            of.folder
        )
    });
    sentences.collect()
}

/// A fork copies a lock as it is just then, and in the child nobody frees one that was taken.
fn statics_with_a_lock(of: &Crate) -> Vec<String> {
    const LOCKS: [&str; 6] = [
        "Mutex<",
        "RwLock<",
        "OnceLock<",
        "OnceCell<",
        "LazyLock<",
        "Once ",
    ];
    let mut sentences = Vec::new();
    for (path, text) in &of.texts {
        for (start, _) in text.match_indices("static ") {
            let (before, after) = (&text[..start], &text[start..]);
            let before = before.rsplit('\n').next().unwrap_or_default().trim_start();
            if !before.is_empty() && !before.starts_with("pub") {
                continue;
            }
            let declared = after.split(['=', ';']).next().unwrap_or_default();
            if LOCKS.iter().any(|lock| declared.contains(lock)) {
                sentences.push(format!(
                    "{}/{path}: `{}` has a lock, which a fork may copy as it is taken: use `GrowingList` or `OnceBox`",
                    of.folder,
                    declared.trim()
                ));
            }
        }
    }
    sentences
}

fn long_files(of: &Crate) -> Vec<String> {
    let long = of.texts.iter().filter(|(_, text)| {
        let mut header = text.lines().take_while(|line| line.starts_with("//!"));
        text.lines().count() > MOST_LINES && !header.any(|line| line.starts_with(LONG_BECAUSE))
    });
    let sentences = long.map(|(path, text)| {
        format!(
            "{}/{path} has {} lines, more than {MOST_LINES}: split it by subject, or say why not in its header, in a line that begins with `{LONG_BECAUSE}`",
            of.folder,
            text.lines().count()
        )
    });
    sentences.collect()
}
