//! What the compiler says of a mistake, in its colours.

use std::path::Path;

use clap::builder::styling::{AnsiColor, Style};

use super::screen::{Row, Screen};

const ERROR: Style = AnsiColor::BrightRed.on_default().bold();
const FRAME: Style = AnsiColor::BrightBlue.on_default().bold();
const BOLD: Style = Style::new().bold();

/// From the file in which trybuild keeps it, which the compiler of this repository is compared with; it has no colours.
pub(super) fn screen(file: &Path) -> Screen {
    let said = std::fs::read_to_string(file).expect("cannot read it");
    let name = file.file_stem().unwrap().to_string_lossy();
    let said = said.replace(&format!("ui/advisory/fail/{name}.rs"), "src/main.rs");
    Screen {
        rows: said.lines().map(row).collect(),
    }
}

fn row(line: &str) -> Row {
    if let Some(message) = line.strip_prefix("error") {
        return Row::styled("error", ERROR).then(Row::styled(message, BOLD));
    }
    // Input:  ` --> src/main.rs:1:20`
    if let Some((before, place)) = line.split_once("--> ") {
        return Row::styled(&format!("{before}--> "), FRAME).then(Row::styled(place, Style::new()));
    }
    // Input:  `1 | fn bill()`, `  |    ^^^^`
    match line.split_once('|') {
        Some((number, code)) => {
            let is_mark = code.trim_start().starts_with('^');
            let style = if is_mark { ERROR } else { Style::new() };
            Row::styled(&format!("{number}|"), FRAME).then(Row::styled(code, style))
        }
        None => Row::styled(line, Style::new()),
    }
}
