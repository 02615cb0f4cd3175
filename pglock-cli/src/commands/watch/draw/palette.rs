//! Colours by meaning, as the tables of the other commands have them.

use clap::builder::styling::{AnsiColor, Color, Effects, Style};
use ratatui::style::{self, Modifier};

#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Palette {
    /// Without them there is bold and reverse only.
    pub(in super::super) has_colors: bool,
}

impl Palette {
    pub(super) fn of(self, style: Style) -> style::Style {
        let effects = style.get_effects();
        let mut drawn = style::Style::new();
        if effects.contains(Effects::BOLD) || !self.has_colors && style.get_fg_color().is_some() {
            drawn = drawn.add_modifier(Modifier::BOLD);
        }
        if !self.has_colors {
            return drawn;
        }
        if effects.contains(Effects::DIMMED) {
            drawn = drawn.add_modifier(Modifier::DIM);
        }
        match style.get_fg_color() {
            Some(Color::Ansi(color)) => drawn.fg(ansi(color)),
            _ => drawn,
        }
    }
}

fn ansi(color: AnsiColor) -> style::Color {
    match color {
        AnsiColor::Red => style::Color::Red,
        AnsiColor::Yellow => style::Color::Yellow,
        // Of those that have a meaning, there are no others.
        _ => style::Color::Reset,
    }
}
