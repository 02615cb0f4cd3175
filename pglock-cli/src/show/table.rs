//! Tables: one line for each row, cut to the terminal.

use clap::builder::styling::Style;

use super::style::{DIM, PLAIN, painted};
use crate::text::{cut, cut_state, width};

/// What is between two columns.
pub(crate) const GAP: &str = "  ";
/// To how much a column shrinks that may.
const LEAST: usize = 8;
/// To how much each does before another one shrinks further: one long text does not cost the others theirs.
const ENOUGH: usize = 24;
/// The same once more, where there is less room.
const LITTLE: usize = 16;
/// How readily a column shrinks that is left out where next to nothing of it would be seen.
const LEFT_OUT: u8 = 4;
/// How much has to be seen of it, so that it is not.
const WORTH_IT: usize = 12;

/// A column, and how readily it shrinks where the terminal is too narrow: those with a high number first, those with 0 never.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) head: String,
    pub(crate) shrinks: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) style: Style,
    /// What a session does, and since when: the time is worth more than the last letters before it.
    is_state: bool,
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            style: PLAIN,
            is_state: false,
        }
    }

    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self {
            style,
            ..Self::plain(text)
        }
    }

    pub(crate) fn state(text: impl Into<String>, style: Style) -> Self {
        Self {
            is_state: true,
            ..Self::styled(text, style)
        }
    }

    /// At most so many columns of it.
    pub(crate) fn cut(&self, most: usize) -> String {
        if self.is_state {
            cut_state(&self.text, most)
        } else {
            cut(&self.text, most)
        }
    }
}

/// The table as text, and whether a cell was cut, or a column left out.
pub(crate) fn table(columns: &[Column], rows: &[Vec<Cell>], most: Option<usize>) -> (String, bool) {
    let kept = kept(columns, rows, most);
    if kept.len() < columns.len() {
        let columns: Vec<_> = kept.iter().map(|at| columns[*at].clone()).collect();
        let row = |row: &Vec<Cell>| kept.iter().map(|at| row[*at].clone()).collect();
        let rows: Vec<_> = rows.iter().map(row).collect();
        return (table(&columns, &rows, most).0, true);
    }
    let widths = widths(columns, rows.iter().map(Vec::as_slice), most);
    let mut text = String::new();
    let head: Vec<Cell> = columns
        .iter()
        .map(|column| Cell::styled(&*column.head, DIM))
        .collect();
    let mut is_cut = false;
    for row in std::iter::once(&head).chain(rows) {
        is_cut |= line(row, &widths, &mut text);
    }
    (text, is_cut)
}

/// The places of the columns for which there is room. The last is left out first.
fn kept(columns: &[Column], rows: &[Vec<Cell>], most: Option<usize>) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let Some(most) = most else {
        return kept;
    };
    let natural = widths(columns, rows.iter().map(Vec::as_slice), None);
    let least = |at: &usize| match columns[*at].shrinks {
        0 => natural[*at],
        LEFT_OUT.. => natural[*at].min(WORTH_IT),
        _ => natural[*at].min(LITTLE),
    };
    while kept.len() > 1 {
        let gaps = GAP.len() * (kept.len() - 1);
        if kept.iter().map(least).sum::<usize>() + gaps <= most {
            break;
        }
        let statement = kept.iter().rposition(|at| columns[*at].shrinks >= LEFT_OUT);
        let Some(statement) = statement else {
            break;
        };
        kept.remove(statement);
    }
    kept
}

/// How wide each column is, where the table may take so many columns of the terminal.
pub(crate) fn widths<'c>(
    columns: &[Column],
    rows: impl Iterator<Item = &'c [Cell]>,
    most: Option<usize>,
) -> Vec<usize> {
    let mut widths: Vec<usize> = columns.iter().map(|column| width(&column.head)).collect();
    for row in rows {
        for (wide, cell) in widths.iter_mut().zip(row) {
            *wide = (*wide).max(width(&cell.text));
        }
    }
    if let Some(most) = most {
        fit(columns, &mut widths, most);
    }
    widths
}

/// Shrinks columns until the table fits, or none may shrink.
fn fit(columns: &[Column], widths: &mut [usize], most: usize) {
    let gaps = GAP.len() * columns.len().saturating_sub(1);
    let mut shrinking: Vec<usize> = (0..columns.len())
        .filter(|at| columns[*at].shrinks > 0)
        .collect();
    shrinking.sort_by_key(|at| std::cmp::Reverse(columns[*at].shrinks));
    for least in [ENOUGH, LITTLE, LEAST] {
        for at in &shrinking {
            let all = widths.iter().sum::<usize>() + gaps;
            let wide = &mut widths[*at];
            *wide = wide
                .saturating_sub(all.saturating_sub(most))
                .max(least.min(*wide));
        }
    }
}

fn line(row: &[Cell], widths: &[usize], text: &mut String) -> bool {
    let mut is_cut = false;
    let mut padding = 0;
    for (nth, (cell, wide)) in row.iter().zip(widths).enumerate() {
        let shown = cell.cut(*wide);
        is_cut |= shown != cell.text;
        if !shown.is_empty() {
            text.extend(std::iter::repeat_n(' ', padding));
            padding = 0;
            text.push_str(&painted(&shown, cell.style));
        }
        padding += wide - width(&shown);
        if nth + 1 < widths.len() {
            padding += GAP.len();
        }
    }
    text.push('\n');
    is_cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [Column; 3] {
        [("PID", 0), ("MODE", 1), ("STATEMENT", 4)].map(|(head, shrinks)| Column {
            head: head.to_owned(),
            shrinks,
        })
    }

    fn rows() -> Vec<Vec<Cell>> {
        let row = |cells: [&str; 3]| cells.map(Cell::plain).to_vec();
        vec![
            row(["1", "ACCESS_EXCLUSIVE", "ALTER TABLE orders ADD note text"]),
            row(["4046", "SHARE", ""]),
        ]
    }

    fn plain(most: Option<usize>) -> (String, bool) {
        let (text, is_cut) = table(&columns(), &rows(), most);
        (anstream::adapter::strip_str(&text).to_string(), is_cut)
    }

    #[test]
    fn elsewhere_than_on_a_terminal_nothing_is_cut() {
        let expected = "PID   MODE              STATEMENT\n\
                        1     ACCESS_EXCLUSIVE  ALTER TABLE orders ADD note text\n\
                        4046  SHARE\n";
        assert_eq!(plain(None), (expected.to_owned(), false));
        assert_eq!(plain(Some(60)), (expected.to_owned(), false));
    }

    #[test]
    fn one_long_text_does_not_cost_the_others_theirs() {
        let columns = columns();
        let name = "an application with a name that goes on for a while";
        let row = ["1", name, "ALTER TABLE orders ADD note text"].map(Cell::plain);
        let widths = widths(&columns, std::iter::once(row.as_slice()), Some(58));
        assert_eq!(widths, [3, 27, 24]);
    }

    #[test]
    fn the_statement_shrinks_first_and_the_pid_never() {
        let expected = "PID   MODE              STATEMENT\n\
                        1     ACCESS_EXCLUSIVE  ALTER TABLE…\n\
                        4046  SHARE\n";
        assert_eq!(plain(Some(36)), (expected.to_owned(), true));
        let expected = "PID   MODE\n\
                        1     ACCESS_EXCLUSIVE\n\
                        4046  SHARE\n";
        assert_eq!(plain(Some(35)), (expected.to_owned(), true));
        let expected = "PID   MODE\n\
                        1     ACCESS_EX…\n\
                        4046  SHARE\n";
        assert_eq!(plain(Some(16)), (expected.to_owned(), true));
    }
}
