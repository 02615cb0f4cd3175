//! The rows of a view: which are shown, in which order, which one is selected, which are tagged. Pure.

use std::collections::BTreeSet;
use std::ops::Range;

use super::super::rows::{Row, RowId, SessionId, Sheet};

/// A move of the selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    By(isize),
    Pages(isize),
    First,
    Last,
}

#[derive(Debug, Default)]
pub(in super::super) struct List {
    sheet: Option<Sheet>,
    /// Places in the sheet, in the order in which they are shown.
    shown: Vec<usize>,
    /// What is selected stays so, wherever it is next time.
    selected: Option<RowId>,
    /// Where it is; where it would be, when it is gone.
    place: usize,
    /// The place of the first row on the screen, and how many fit.
    top: usize,
    height: usize,
    filter: String,
    order: usize,
    tags: BTreeSet<SessionId>,
}

impl List {
    /// What was found at the next look. Tags of sessions that are not in it are gone.
    pub(in super::super) fn show(&mut self, sheet: Sheet) {
        let is_there = |tag: &SessionId| {
            let mut sessions = sheet.rows.iter().map(|row| row.id.session);
            sessions.any(|session| session == Some(*tag))
        };
        self.tags.retain(is_there);
        self.sheet = Some(sheet);
        self.arrange();
    }

    /// Another view begins: nothing is known yet.
    pub(super) fn clear(&mut self, order: usize) {
        *self = Self {
            filter: std::mem::take(&mut self.filter),
            height: self.height,
            order,
            ..Self::default()
        };
    }

    pub(in super::super) fn sheet(&self) -> Option<&Sheet> {
        self.sheet.as_ref()
    }

    /// How many rows are shown.
    pub(in super::super) fn len(&self) -> usize {
        self.shown.len()
    }

    pub(in super::super) fn row(&self, place: usize) -> Option<&Row> {
        self.sheet.as_ref()?.rows.get(*self.shown.get(place)?)
    }

    pub(in super::super) fn selected(&self) -> Option<&Row> {
        self.row(self.place)
    }

    pub(in super::super) fn place(&self) -> usize {
        self.place
    }

    /// The places that are on a screen with room for so many.
    pub(in super::super) fn window(&mut self, height: usize) -> Range<usize> {
        self.height = height.max(1);
        let last_top = self.len().saturating_sub(self.height);
        let lowest = self.place.saturating_sub(self.height - 1);
        self.top = self.top.clamp(lowest, self.place.max(lowest)).min(last_top);
        self.top..self.len().min(self.top + self.height)
    }

    pub(in super::super) fn step(&mut self, step: Step) {
        let last = self.len().saturating_sub(1);
        let by = |by: isize| self.place.saturating_add_signed(by).min(last);
        self.place = match step {
            Step::By(lines) => by(lines),
            Step::Pages(pages) => by(pages.saturating_mul(self.height.max(1).cast_signed())),
            Step::First => 0,
            Step::Last => last,
        };
        self.selected = self.selected().map(|row| row.id.clone());
    }

    pub(in super::super) fn filter(&self) -> &str {
        &self.filter
    }

    pub(super) fn set_filter(&mut self, filter: String) {
        self.filter = filter;
        self.arrange();
    }

    /// The name of the order that it is in.
    pub(in super::super) fn order(&self) -> &'static str {
        let orders = self.sheet.as_ref().map_or(&[][..], |sheet| sheet.orders);
        orders.get(self.order).copied().unwrap_or_default()
    }

    /// Sorts by the next order, and returns its number.
    pub(super) fn next_order(&mut self) -> usize {
        let orders = self.sheet.as_ref().map_or(1, |sheet| sheet.orders.len());
        self.order = (self.order + 1) % orders.max(1);
        self.arrange();
        self.order
    }

    pub(in super::super) fn is_tagged(&self, row: &Row) -> bool {
        row.id
            .session
            .is_some_and(|session| self.tags.contains(&session))
    }

    pub(in super::super) fn tags(&self) -> usize {
        self.tags.len()
    }

    /// Tags the selected session, or takes its tag away.
    pub(super) fn tag(&mut self) {
        let Some(session) = self.selected().and_then(|row| row.id.session) else {
            return;
        };
        if !self.tags.remove(&session) {
            self.tags.insert(session);
        }
        self.step(Step::By(1));
    }

    pub(super) fn untag(&mut self) {
        self.tags.clear();
    }

    /// The sessions that a verb concerns: those that are tagged and shown, or else the selected one.
    pub(super) fn chosen(&self) -> Vec<SessionId> {
        let shown = (0..self.len()).filter_map(|place| self.row(place));
        let tagged = shown.filter(|row| self.is_tagged(row));
        let mut chosen: Vec<_> = tagged.filter_map(|row| row.id.session).collect();
        // A session may have several rows.
        let mut seen = BTreeSet::new();
        chosen.retain(|session| seen.insert(*session));
        if chosen.is_empty() {
            chosen.extend(self.selected().and_then(|row| row.id.session));
        }
        chosen
    }

    /// Filters and sorts the rows, and finds the selected one again.
    fn arrange(&mut self) {
        let Some(sheet) = &self.sheet else {
            return;
        };
        let rows = &sheet.rows;
        let wanted = self.filter.to_lowercase();
        let fits = |row: &&Row| is_said_of(row, &wanted);
        let groups: BTreeSet<_> = rows.iter().filter(fits).map(|row| row.group).collect();
        let is_shown = |place: &usize| groups.contains(&rows[*place].group);
        self.shown = (0..rows.len()).filter(is_shown).collect();
        self.shown.sort_by(|left, right| {
            let key = |place: &usize| (rows[*place].keys.get(self.order), rows[*place].group);
            key(left).cmp(&key(right))
        });
        let found = self.selected.as_ref().and_then(|id| {
            let mut shown = self.shown.iter();
            shown.position(|place| rows[*place].id == *id)
        });
        let last = self.shown.len().saturating_sub(1);
        self.place = found.unwrap_or(self.place).min(last);
        self.selected = self.selected().map(|row| row.id.clone());
    }
}

/// Whether the words, which are in lower case, are in what the row shows.
fn is_said_of(row: &Row, wanted: &str) -> bool {
    let cells = row.cells.iter().map(|cell| &cell.text);
    let mut texts = cells.chain(&row.about);
    wanted.is_empty() || texts.any(|text| text.to_lowercase().contains(wanted))
}
