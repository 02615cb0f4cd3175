//! Annotated bodies are code of the user's, not of a macro's: their coverage is measured.

use std::path::Path;
use std::process::Command;

/// Bodies of tests/tests/nested.rs, as the compiler mangles their names: `0` behind a function's is its first closure. An
/// async one is a block in the function's own.
const BODIES: [&str; 2] = [
    "recursion_reenters_without_sql_and_releases_at_the_last_end9countdown0",
    "async_recursion_reenters09countdown00",
];

#[test]
fn a_body_has_counters_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let code = folder.path().join("code.ll");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([
        "rustc",
        "-q",
        "-p",
        "pglock-tests",
        "--test",
        "nested",
        "--",
    ]);
    cargo.args(["-Cinstrument-coverage", "-Csymbol-mangling-version=v0"]);
    cargo.arg(format!("--emit=llvm-ir={}", code.display()));
    assert!(cargo.current_dir(root).status().unwrap().success());
    let code = std::fs::read_to_string(code).unwrap();
    for body in BODIES {
        let is_counter = |line: &str| line.starts_with("@__profc__") && line.contains(body);
        assert!(code.lines().any(is_counter), "{body}");
    }
}
