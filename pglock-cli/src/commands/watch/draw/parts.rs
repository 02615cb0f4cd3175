//! The parts of the screen.

use std::ops::Range;

use ratatui::style::{Modifier, Style};

use super::super::keys::{HELP, HINTS};
use super::super::model::{List, Mode, Model};
use super::super::rows::Row;
use super::{Canvas, Cost, Status};
use crate::args::View;
use crate::show::style;
use crate::show::table::{Cell, GAP, widths};
use crate::text;

/// What is before the first column: what is selected, and what is tagged.
const MARKS: usize = 3;
/// How readily a column shrinks that may be left out.
const LEFT_OUT: u8 = 3;
/// How much there has to be room for, so that it is not.
const WORTH_IT: usize = 16;

impl Canvas<'_> {
    pub(super) fn header(&mut self, y: u16, model: &Model, status: &Status) {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        if let Some(outage) = &status.outage {
            let style = self.meaning(style::WAITS).patch(bold);
            self.sides(y, &[(outage.what.clone(), style)], "", bold);
            return;
        }
        let mut left = vec![("pglock".to_owned(), bold)];
        let mut words = vec![status.place.clone()];
        words.extend(status.at.map(|at| {
            let time = humantime::format_rfc3339_seconds(at).to_string();
            // Of a time of today, the day is not wanted.
            format!("{} UTC", time.get(11..19).unwrap_or_default())
        }));
        words.push(if model.is_paused {
            "paused".to_owned()
        } else {
            format!("every {}", humantime::format_duration(status.refresh))
        });
        left.push((format!("  {}", words.join(" · ")), Style::new()));
        let mut right = Vec::new();
        if !model.list.filter().is_empty() {
            right.push(format!("filter: {}", text::one_line(model.list.filter())));
        }
        if model.list.tags() > 0 {
            right.push(format!("{} tagged", model.list.tags()));
        }
        self.sides(y, &left, &right.join(" · "), bold);
    }

    pub(super) fn tabs(&mut self, y: u16, model: &Model) {
        let tabs = View::ALL.iter().enumerate().map(|(nth, view)| {
            if *view == model.view {
                let style = Style::new().add_modifier(Modifier::BOLD);
                (format!("[{} {}]", nth + 1, view.name()), style)
            } else {
                (format!(" {} {} ", nth + 1, view.name()), self.dim())
            }
        });
        let tabs: Vec<_> = tabs.collect();
        let summary = model.list.sheet().map_or("", |sheet| &sheet.summary);
        self.sides(y, &tabs, summary, Style::new());
    }

    /// `is_old` where the server has been away since.
    pub(super) fn table(&mut self, body: Range<u16>, model: &mut Model, is_old: bool) {
        let first = body.start + 1;
        let height = usize::from(body.end.saturating_sub(first));
        let window = model.list.window(height);
        let list = &model.list;
        let Some(sheet) = list.sheet() else {
            return;
        };
        if list.len() == 0 {
            let nothing = if sheet.rows.is_empty() {
                sheet.nothing.to_owned()
            } else {
                format!("none of {} rows fits the filter", sheet.rows.len())
            };
            self.put(1, first, &nothing, usize::MAX, self.dim());
            return;
        }
        let widths = self.fitted(list);
        let heads: Vec<Cell> = sheet
            .columns
            .iter()
            .map(|column| Cell::styled(&*column.head, style::DIM))
            .collect();
        self.cells(body.start, &heads, &widths, Style::new());
        let old = if is_old { self.dim() } else { Style::new() };
        for (y, place) in (first..body.end).zip(window) {
            if let Some(row) = list.row(place) {
                let is_selected = place == list.place();
                self.row(y, row, &widths, [is_selected, list.is_tagged(row)], old);
            }
        }
    }

    fn row(&mut self, y: u16, row: &Row, widths: &[usize], marks: [bool; 2], old: Style) {
        let [is_selected, is_tagged] = marks;
        let mut over = old;
        if is_tagged {
            over = over.add_modifier(Modifier::BOLD);
        }
        if is_selected {
            over = over.add_modifier(Modifier::REVERSED);
            let blank = " ".repeat(self.width());
            self.put(0, y, &blank, usize::MAX, over);
        }
        let mark = |is, mark| if is { mark } else { " " };
        let marks = format!("{}{}", mark(is_selected, "▸"), mark(is_tagged, "*"));
        self.put(0, y, &marks, MARKS, over);
        self.cells(y, &row.cells, widths, over);
    }

    /// Each in its column; those without width are left out.
    fn cells(&mut self, y: u16, cells: &[Cell], widths: &[usize], over: Style) {
        let mut x = MARKS;
        for (cell, wide) in cells.iter().zip(widths) {
            let style = self.meaning(cell.style).patch(over);
            self.put(x, y, &cell.cut(*wide), *wide, style);
            x += wide + GAP.len();
        }
    }

    /// The widths of the columns. Those at the end of which next to nothing would be seen are left out: what they say is
    /// at the bottom of the screen, too.
    fn fitted(&self, list: &List) -> Vec<usize> {
        let Some(sheet) = list.sheet() else {
            return Vec::new();
        };
        let most = self.width().saturating_sub(MARKS);
        let of_first = |number: usize, most| {
            let rows = sheet.rows.iter();
            let rows = rows.map(|row| &row.cells[..number.min(row.cells.len())]);
            widths(&sheet.columns[..number], rows, most)
        };
        let whole: Vec<usize> = of_first(sheet.columns.len(), None);
        let mut number = sheet.columns.len();
        while number > 1 && sheet.columns[number - 1].shrinks >= LEFT_OUT {
            let before = whole[..number - 1].iter();
            let before: usize = before.map(|wide| wide + GAP.len()).sum();
            if before + WORTH_IT.min(whole[number - 1]) <= most {
                break;
            }
            number -= 1;
        }
        of_first(number, Some(most))
    }

    pub(super) fn foot(&mut self, y: u16, model: &Model, status: &Status) {
        match &model.mode {
            Mode::Filter(_) => {
                let typed = format!("/{}", model.list.filter());
                self.put(1, y, &typed, usize::MAX, Style::new());
            }
            Mode::Question(question) if question.is_open => {
                self.hints(y, &[("y", "yes"), ("any other key", "no")]);
            }
            Mode::Question(_) => {}
            Mode::Help => self.hints(y, &[("any key", "back")]),
            Mode::Details { .. } => {
                self.hints(y, &[("↑↓", "move"), ("y", "copy"), ("Esc", "back")]);
            }
            Mode::Browse => {
                let acts = |(_, word): &(&str, &str)| ["cancel", "terminate"].contains(word);
                let hints = HINTS
                    .into_iter()
                    .filter(|hint| status.may_act || !acts(hint));
                self.hints(y, &hints.collect::<Vec<_>>());
            }
        }
    }

    /// As many as fit; the last two always.
    fn hints(&mut self, y: u16, hints: &[(&str, &str)]) {
        let wide = |hint: &(&str, &str)| text::width(hint.0) + text::width(hint.1) + 3;
        let (first, last) = hints.split_at(hints.len().saturating_sub(2));
        let mut room = self
            .width()
            .saturating_sub(1 + last.iter().map(wide).sum::<usize>());
        let fitting = first.iter().take_while(|hint| {
            let fits = wide(hint) <= room;
            room = room.saturating_sub(wide(hint));
            fits
        });
        let mut x = 1;
        for (key, word) in fitting.chain(last) {
            let bold = Style::new().add_modifier(Modifier::BOLD);
            x += self.put(x, y, key, usize::MAX, bold) + 1;
            x += self.put(x, y, word, usize::MAX, self.dim()) + 2;
        }
    }
}

/// The keys, and what it costs to look.
pub(super) fn help(view: View, status: &Status, wide: usize) -> Vec<String> {
    let Cost {
        last,
        longest,
        looks,
        statements,
    } = status.cost;
    let mut lines: Vec<String> = HELP
        .iter()
        .map(|(key, does)| format!("{key:<15} {does}"))
        .collect();
    lines.push(String::new());
    let (name, last, longest) = (view.name(), text::duration(last), text::duration(longest));
    let cost = format!(
        "A look at `{name}` is {} to the server: {last} the last time, {longest} at most, of {looks}. {}",
        match statements {
            1 => "1 statement".to_owned(),
            more => format!("{more} statements"),
        },
        match view {
            View::Blocked => {
                "It reads pg_locks, and calls pg_blocking_pids once for each waiting session, which stops the server's lock manager for a moment each time: look seldom where many wait."
            }
            View::Locks | View::Named | View::Sessions => {
                "It reads pg_locks, which stops the server's lock manager for a moment, and pg_stat_activity."
            }
        }
    );
    lines.extend(text::wrap(&cost, wide));
    lines
}
