//! Draws the screen: what the model says, as far as there is room for it.

mod palette;
mod parts;

use std::time::{Duration, SystemTime};

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::model::{Mode, Model};
use crate::show::style;
use crate::text;

pub(super) use palette::Palette;

/// From how many lines on there is room for the selected row at the bottom.
const ROOMY: u16 = 14;

/// What is said of the looks themselves.
#[derive(Clone, Debug)]
pub(super) struct Status {
    /// Database and server, as they are shown.
    pub(super) place: String,
    pub(super) refresh: Duration,
    pub(super) at: Option<SystemTime>,
    pub(super) outage: Option<Outage>,
    pub(super) cost: Cost,
    pub(super) may_act: bool,
    pub(super) palette: Palette,
}

/// The picture is old.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    /// What is not there, for how long, and that it is tried again.
    pub(super) what: String,
    pub(super) why: String,
}

/// What the looks at a view cost the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) last: Duration,
    pub(super) longest: Duration,
    pub(super) looks: u64,
    pub(super) statements: usize,
}

pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, status: &Status) {
    let area = frame.area();
    if area.width < 2 || area.height < 4 {
        return;
    }
    let mut canvas = Canvas {
        buffer: frame.buffer_mut(),
        area,
        palette: status.palette,
    };
    canvas.header(0, model, status);
    canvas.tabs(1, model);
    let last = area.height - 1;
    let bottom = bottom(model, status, area);
    let first_of_bottom = last
        .saturating_sub(u16::try_from(bottom.len()).unwrap_or(0))
        .max(2);
    let body = 2..first_of_bottom;
    match &model.mode {
        Mode::Help => {
            let wide = canvas.width().saturating_sub(2);
            canvas.lines(body, &parts::help(model.view, status, wide));
        }
        Mode::Details { lines, top } => {
            let shown = lines.iter().skip(*top);
            canvas.lines(body, &shown.cloned().collect::<Vec<_>>());
        }
        _ => canvas.table(body, model, status.outage.is_some()),
    }
    canvas.bottom(first_of_bottom, &bottom);
    canvas.foot(last, model, status);
    if let Mode::Filter(_) = model.mode {
        let typed = text::width(model.list.filter()) + 2;
        let column = u16::try_from(typed).unwrap_or(u16::MAX).min(area.width - 1);
        frame.set_cursor_position((column, last));
    }
}

/// A line of the bottom, and how it is drawn.
type Line = (String, Style);

/// What is between the rows and the last line: the question, what became of it, or the selected row.
fn bottom(model: &Model, status: &Status, area: Rect) -> Vec<Line> {
    let (plain, bold) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
    let wide = usize::from(area.width).saturating_sub(2);
    // A line for the rule, and as many for rows.
    let room = usize::from(area.height / 2).saturating_sub(2).max(1);
    let rule = ("─".repeat(usize::from(area.width)), plain);
    let mut lines = Vec::new();
    if let Mode::Question(question) = &model.mode {
        let asks = text::wrap(&question.asks, wide);
        let room = room.saturating_sub(asks.len());
        lines.extend(listed(&question.about, room, plain));
        lines.extend(asks.into_iter().map(|line| (line, bold)));
    } else if !model.message.is_empty() {
        let wrapped = model.message.iter().flat_map(|line| text::wrap(line, wide));
        lines.extend(listed(&wrapped.collect::<Vec<_>>(), room, bold));
    } else if let Some(outage) = &status.outage {
        lines.extend(listed(&text::wrap(&outage.why, wide), room, plain));
    } else if matches!(model.mode, Mode::Browse | Mode::Filter(_)) && area.height >= ROOMY {
        let about = model.list.selected().map(|row| row.about.clone());
        lines.extend(about.unwrap_or_default().map(|line| (line, plain)));
    }
    if !lines.is_empty() {
        lines.insert(0, rule);
    }
    lines
}

/// As many as there is room for, and how many are left.
fn listed(texts: &[String], room: usize, style: Style) -> Vec<Line> {
    let fits = texts.len() <= room;
    let shown = if fits {
        texts.len()
    } else {
        room.saturating_sub(1)
    };
    let mut lines: Vec<Line> = texts[..shown]
        .iter()
        .map(|text| (text.clone(), style))
        .collect();
    if !fits {
        lines.push((format!("… and {} more", texts.len() - shown), style));
    }
    lines
}

/// Where on the screen texts go.
struct Canvas<'b> {
    buffer: &'b mut Buffer,
    area: Rect,
    palette: Palette,
}

impl Canvas<'_> {
    fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// At most so many columns of it; how many there were.
    fn put(&mut self, x: usize, y: u16, text: &str, most: usize, style: Style) -> usize {
        let most = most.min(self.width().saturating_sub(x));
        let shown = text::cut(text, most);
        let column = u16::try_from(x).unwrap_or(u16::MAX);
        self.buffer.set_stringn(column, y, &shown, most, style);
        text::width(&shown)
    }

    /// One text at the left, and one at the right, which goes first.
    fn sides(&mut self, y: u16, left: &[(String, Style)], right: &str, style: Style) {
        let taken = text::width(right);
        let most = self.width().saturating_sub(taken + 1);
        let mut x = 1;
        for (text, style) in left {
            x += self.put(x, y, text, most.saturating_sub(x), *style);
        }
        let at = self.width().saturating_sub(taken);
        self.put(at, y, right, usize::MAX, style);
    }

    fn lines(&mut self, rows: std::ops::Range<u16>, lines: &[String]) {
        for (y, line) in rows.zip(lines) {
            self.put(1, y, line, usize::MAX, Style::new());
        }
    }

    fn bottom(&mut self, from: u16, lines: &[Line]) {
        for (y, (line, style)) in (from..self.area.height).zip(lines) {
            let x = usize::from(y != from);
            self.put(x, y, line, usize::MAX, *style);
        }
    }

    fn meaning(&self, meaning: clap::builder::styling::Style) -> Style {
        self.palette.of(meaning)
    }

    fn dim(&self) -> Style {
        self.meaning(style::DIM)
    }
}

#[cfg(test)]
mod tests;
