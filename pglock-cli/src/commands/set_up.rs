//! `completions` and `man`.

use std::path::Path;
use std::process::ExitCode;

use clap_complete::Shell;

use crate::args;
use crate::failure::Failure;
use crate::show;

pub(crate) fn completions(shell: Shell) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "pglock", &mut text);
    show::print(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn man(dir: Option<&Path>) -> Result<ExitCode, Failure> {
    if let Some(dir) = dir {
        let written = clap_mangen::generate_to(args::command(), dir);
        written.map_err(|error| {
            let dir = dir.display();
            Failure::new(format!("cannot write man pages into {dir}: {error}"))
        })?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(args::command()).render(&mut page)?;
        show::print(&String::from_utf8_lossy(&page))?;
    }
    Ok(ExitCode::SUCCESS)
}
