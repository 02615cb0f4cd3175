//! Completions, man pages, help.

use super::{bare, said};

#[test]
fn completions_and_man_pages_are_written() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = said(bare().args(["completions", shell]));
        assert!(
            said.code == 0 && said.out.contains("terminate"),
            "{shell}: {said:?}"
        );
    }
    let page = said(bare().arg("man"));
    assert!(
        page.code == 0 && page.out.contains(".TH pglock"),
        "{page:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let written = said(bare().args(["man", "--dir"]).arg(folder.path()));
    assert_eq!(written.code, 0, "{written:?}");
    assert!(folder.path().join("pglock-run.1").exists());
}

#[test]
fn help_names_every_command() {
    let help = said(bare().arg("--help"));
    assert_eq!(help.code, 0);
    for command in [
        "ls",
        "blocked",
        "tree",
        "who",
        "id",
        "names",
        "doctor",
        "cancel",
        "terminate",
        "free",
        "run",
        "guard",
        "completions",
        "man",
    ] {
        assert!(
            help.out.contains(&format!("\n  {command} ")),
            "{command}: {}",
            help.out
        );
    }
    assert!(!help.out.contains("__exec"), "{}", help.out);
}
