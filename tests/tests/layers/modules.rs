//! The modules of a crate: which file each is in, and which names it has.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use syn::{Item, ItemMod};

use crate::syntax::{is_for_tests, name_of, path_attribute, used};

/// The module of `lib.rs`.
pub(crate) const ROOT: usize = 0;

/// More re-exports than this in a row are a circle of them.
const MOST_STEPS: usize = 32;

pub(crate) struct Crate {
    /// Where its files are, for messages: `pglock/src`.
    pub(crate) folder: String,
    /// The text of each file, by its path below `folder`.
    pub(crate) texts: BTreeMap<String, String>,
    /// The files of modules that are compiled outside of tests.
    pub(crate) files: Vec<File>,
    modules: Vec<Module>,
}

pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) syntax: syn::File,
    /// The module that the file is.
    pub(crate) module: usize,
}

struct Module {
    file: usize,
    parent: usize,
    /// Where the files of its children are: empty, or with a `/` at its end.
    folder: String,
    names: HashMap<String, Vec<Definition>>,
    globs: Vec<Vec<String>>,
}

enum Definition {
    Module(usize),
    Item,
    /// An import, or a re-export.
    Use(Vec<String>),
}

/// What a path leads to.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) file: usize,
    /// Set if it is a module as a whole.
    module: Option<usize>,
    /// For what `lib.rs` re-exports: the path that it is defined under.
    pub(crate) real_path: Option<String>,
}

impl Crate {
    /// Reads the `.rs` files below `root/folder`.
    pub(crate) fn read(root: &Path, folder: &str) -> Self {
        let mut texts = BTreeMap::new();
        read_folder(&root.join(folder), "", &mut texts);
        Self::new(folder, texts)
    }

    pub(crate) fn new(folder: &str, texts: BTreeMap<String, String>) -> Self {
        let mut this = Self {
            folder: folder.to_owned(),
            texts,
            files: Vec::new(),
            modules: Vec::new(),
        };
        let is_library = this.texts.contains_key("lib.rs");
        let root = if is_library { "lib.rs" } else { "main.rs" };
        this.add_file(root, ROOT, String::new());
        this
    }

    fn add_file(&mut self, path: &str, parent: usize, folder: String) -> usize {
        let text = self.texts.get(path);
        let text = text.unwrap_or_else(|| panic!("{}/{path} does not exist", self.folder));
        let syntax = syn::parse_file(text)
            .unwrap_or_else(|error| panic!("{}/{path} is not Rust: {error}", self.folder));
        let file = self.files.len();
        let module = self.new_module(file, parent, folder);
        self.files.push(File {
            path: path.to_owned(),
            syntax: syntax.clone(),
            module,
        });
        self.add_items(module, &syntax.items);
        module
    }

    fn new_module(&mut self, file: usize, parent: usize, folder: String) -> usize {
        self.modules.push(Module {
            file,
            parent,
            folder,
            names: HashMap::new(),
            globs: Vec::new(),
        });
        self.modules.len() - 1
    }

    fn add_items(&mut self, module: usize, items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(item) if !is_for_tests(&item.attrs) => {
                    let name = item.ident.to_string();
                    for child in self.add_module(module, item) {
                        self.add_name(module, &name, Definition::Module(child));
                    }
                }
                Item::Use(item) if !is_for_tests(&item.attrs) => {
                    for used in used(item) {
                        if used.is_glob {
                            self.modules[module].globs.push(used.path);
                        } else if let Some(name) = &used.name {
                            self.add_name(module, name, Definition::Use(used.path));
                        }
                    }
                }
                item => {
                    if let Some(name) = name_of(item) {
                        self.add_name(module, &name, Definition::Item);
                    }
                }
            }
        }
    }

    fn add_name(&mut self, module: usize, name: &str, definition: Definition) {
        let names = &mut self.modules[module].names;
        names.entry(name.to_owned()).or_default().push(definition);
    }

    /// More than one where an attribute chooses between files.
    fn add_module(&mut self, parent: usize, item: &ItemMod) -> Vec<usize> {
        let folder = self.modules[parent].folder.clone();
        let children = format!("{folder}{}/", item.ident);
        if let Some((_, items)) = &item.content {
            let module = self.new_module(self.modules[parent].file, parent, children);
            self.add_items(module, items);
            return vec![module];
        }
        let named = item.attrs.iter().filter_map(|it| path_attribute(&it.meta));
        let mut paths: Vec<String> = named.map(|name| format!("{folder}{name}")).collect();
        if !item.attrs.iter().any(|it| it.path().is_ident("path")) {
            let file = format!("{folder}{}.rs", item.ident);
            let is_file = self.texts.contains_key(&file);
            paths.push(if is_file {
                file
            } else {
                format!("{children}mod.rs")
            });
        }
        let files = paths.iter();
        files
            .map(|path| self.add_file(path, parent, children.clone()))
            .collect()
    }

    /// What `path`, written in `module`, leads to: several if an attribute chooses, none if it leaves the crate.
    pub(crate) fn resolve(&self, module: usize, path: &[String]) -> Vec<Target> {
        self.resolve_in(module, path, 0)
    }

    pub(crate) fn leads_to_module(&self, module: usize, path: &[String]) -> bool {
        let targets = self.resolve(module, path);
        targets.iter().any(|target| target.module.is_some())
    }

    fn resolve_in(&self, module: usize, path: &[String], steps: usize) -> Vec<Target> {
        match path.first().map(String::as_str) {
            Some("crate") => self.walk(ROOT, &path[1..], steps),
            Some("self" | "super") => self.walk(module, path, steps),
            Some(name) if self.has(module, name) => self.walk(module, path, steps),
            _ => Vec::new(),
        }
    }

    fn has(&self, module: usize, name: &str) -> bool {
        self.modules[module].names.contains_key(name)
    }

    /// Goes along `path` from the module `at`.
    fn walk(&self, at: usize, path: &[String], steps: usize) -> Vec<Target> {
        let module = &self.modules[at];
        let target = |module, real_path| Target {
            file: self.modules[at].file,
            module,
            real_path,
        };
        let Some((name, rest)) = path.split_first() else {
            return vec![target(Some(at), None)];
        };
        let found = match name.as_str() {
            "self" => self.walk(at, rest, steps),
            "super" => self.walk(module.parent, rest, steps),
            _ if steps == MOST_STEPS => Vec::new(),
            _ => match module.names.get(name) {
                None => self.through_globs(at, path, steps + 1),
                Some(definitions) => {
                    let modules = definitions.iter().filter_map(Definition::module);
                    let in_modules = modules.flat_map(|it| self.walk(it, rest, steps));
                    let in_modules: Vec<Target> = in_modules.collect();
                    let is_item = definitions.iter().any(|it| matches!(it, Definition::Item));
                    if !in_modules.is_empty() || is_item {
                        in_modules
                    } else {
                        let paths = definitions.iter().filter_map(Definition::path);
                        let paths = paths.map(|path| [path, rest].concat());
                        if self.files[module.file].module == ROOT {
                            let real = paths.map(|path| target(None, Some(with_crate(&path))));
                            real.collect()
                        } else {
                            let found = paths.map(|path| self.resolve_in(at, &path, steps + 1));
                            found.flatten().collect()
                        }
                    }
                }
            },
        };
        // It is defined here, or made here by a macro, or another crate's and only passed on.
        if found.is_empty() {
            vec![target(None, None)]
        } else {
            found
        }
    }

    fn through_globs(&self, at: usize, path: &[String], steps: usize) -> Vec<Target> {
        let globs = self.modules[at].globs.iter();
        let targets = globs.flat_map(|glob| self.resolve_in(at, glob, steps));
        let modules = targets.filter_map(|target| target.module);
        modules
            .filter(|&module| module != at && self.has(module, &path[0]))
            .flat_map(|module| self.walk(module, path, steps))
            .collect()
    }

    /// Whether the module that is the file `file` is inside of the one that is the file `above`.
    pub(crate) fn is_below(&self, file: usize, above: usize) -> bool {
        let above = self.files[above].module;
        let mut module = self.files[file].module;
        while module != ROOT && module != above {
            module = self.modules[module].parent;
        }
        module == above
    }

    /// The child `name` of a module.
    pub(crate) fn child(&self, module: usize, name: &str) -> Option<usize> {
        let mut definitions = self.modules[module].names.get(name)?.iter();
        definitions.find_map(Definition::module)
    }
}

impl Definition {
    fn module(&self) -> Option<usize> {
        match self {
            Self::Module(module) => Some(*module),
            _ => None,
        }
    }

    fn path(&self) -> Option<&[String]> {
        match self {
            Self::Use(path) => Some(path),
            _ => None,
        }
    }
}

/// A path of `lib.rs`, as other files write it.
fn with_crate(path: &[String]) -> String {
    let path = path.join("::");
    let path = path.trim_start_matches("self::");
    if path.starts_with("crate::") {
        path.to_owned()
    } else {
        format!("crate::{path}")
    }
}

fn read_folder(folder: &Path, below: &str, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{below}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_dir() {
            read_folder(&path, &format!("{name}/"), texts);
        } else if path.extension().is_some_and(|it| it == "rs") {
            texts.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}
