//! Colours by meaning. Each is said in words too.

use clap::builder::styling::{AnsiColor, Style};

/// Who waits.
pub(crate) const WAITS: Style = AnsiColor::Red.on_default();
/// Who keeps locks and does nothing.
pub(crate) const IDLES: Style = AnsiColor::Yellow.on_default();
/// What is called by a name of its own.
pub(crate) const NAME: Style = Style::new().bold();
/// What is beside the point.
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const PLAIN: Style = Style::new();

pub(crate) fn painted(text: &str, style: Style) -> String {
    if style == PLAIN || text.is_empty() {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}
