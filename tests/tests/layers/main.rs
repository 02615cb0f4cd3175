//! The order of the folders: a file imports only from its own folder and from those below, and no files import each other
//! in a circle. Folders and files stay small enough to be read.
//!
//! The checker reads the code with `syn`. It sees `use` lines and paths in code; it does not see which methods are called,
//! nor which names a macro makes: those count as the module that the path leads to.

mod graph;
mod imports;
mod made_up_trees;
mod modules;
mod rules;
mod syntax;
