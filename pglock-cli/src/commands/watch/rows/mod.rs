//! What a view shows of what was found: a table of texts, whose rows know their sessions. Pure.

mod blocked;
mod locks;
mod named;
mod sessions;

use std::cmp::Reverse;
use std::time::SystemTime;

use pglock::Activity;

use crate::show::attribute::{does, idles, name};
use crate::show::style;
use crate::show::table::{Cell, Column};
use crate::text;

pub(super) use blocked::sheet as blocked;
pub(super) use locks::sheet as locks;
pub(super) use named::sheet as named;
pub(super) use sessions::sheet as sessions;

/// A session, as pid and start: another one may get its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionId {
    pub(super) pid: i32,
    pub(super) start: Option<SystemTime>,
}

impl SessionId {
    pub(super) fn of(activity: &Activity) -> Self {
        Self {
            pid: activity.pid,
            start: activity.backend_start,
        }
    }
}

/// What a row is about: the same at the next look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowId {
    pub(super) session: Option<SessionId>,
    /// Which of those of the session.
    pub(super) what: String,
}

/// Sorts by a number, large ones first, then by a text.
pub(super) type SortKey = (Reverse<u128>, String);

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: RowId,
    pub(super) cells: Vec<Cell>,
    /// Rows of a group stay together, and are shown if one of them fits a filter.
    pub(super) group: usize,
    /// One for each order of the sheet.
    pub(super) keys: Vec<SortKey>,
    /// The whole row in a line, and the statement of its session.
    pub(super) about: [String; 2],
}

/// A table that is ready to be drawn.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// What there is, in a few words.
    pub(super) summary: String,
    /// What nothing is called, where there are no rows.
    pub(super) nothing: &'static str,
    /// The orders that it can be sorted in.
    pub(super) orders: &'static [&'static str],
}

fn columns(columns: &[(&str, u8)]) -> Vec<Column> {
    let column = |(head, shrinks): &(&str, u8)| Column {
        head: (*head).to_owned(),
        shrinks: *shrinks,
    };
    columns.iter().map(column).collect()
}

/// Large numbers first.
fn largest(number: u128) -> SortKey {
    (Reverse(number), String::new())
}

fn by_text(text: &str) -> SortKey {
    (Reverse(0), text.to_lowercase())
}

/// How much of a name there is in a table. All of it is at the bottom of the screen.
const NAME: usize = 24;

/// Its pid and what it is called.
fn called(activity: &Activity) -> String {
    let name = text::cut(&name(activity), NAME);
    format!("{} {name}", activity.pid).trim_end().to_owned()
}

/// What it does, and since when.
fn state_of(activity: &Activity) -> Cell {
    let style = if idles(activity) {
        style::IDLES
    } else {
        style::PLAIN
    };
    Cell::state(does(activity).unwrap_or_default(), style)
}

fn counted(number: usize, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}
