//! The answer to a statement, all its columns as text.

use tokio_postgres::SimpleQueryMessage;

use crate::error::Failure;

/// The rows of all statements of one query, in order.
///
/// `pub`, since the methods of a sealed public trait name it; the module is private.
#[derive(Debug, Default)]
pub struct Rows(Vec<Vec<Option<String>>>);

impl Rows {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last row's first column, if it is a boolean.
    pub(crate) fn last_bool(&self) -> Option<bool> {
        match self.0.last()?.first()?.as_deref()? {
            "t" => Some(true),
            "f" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn first_row(&self) -> Option<Row<'_>> {
        self.0.first().map(|columns| Row(columns))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        self.0.iter().map(|columns| Row(columns))
    }
}

impl FromIterator<Vec<Option<String>>> for Rows {
    fn from_iter<T: IntoIterator<Item = Vec<Option<String>>>>(rows: T) -> Self {
        Self(rows.into_iter().collect())
    }
}

impl From<Vec<SimpleQueryMessage>> for Rows {
    fn from(messages: Vec<SimpleQueryMessage>) -> Self {
        messages.iter().collect()
    }
}

/// The rows of a statement whose columns are all text.
impl TryFrom<Vec<tokio_postgres::Row>> for Rows {
    type Error = Failure;

    fn try_from(rows: Vec<tokio_postgres::Row>) -> Result<Self, Failure> {
        let text = |row: &tokio_postgres::Row, column| {
            row.try_get(column)
                .map_err(|_| Failure::unexpected_answer())
        };
        let rows = rows
            .iter()
            .map(|row| (0..row.len()).map(|column| text(row, column)).collect());
        Ok(Self(rows.collect::<Result<_, Failure>>()?))
    }
}

impl<'a> FromIterator<&'a SimpleQueryMessage> for Rows {
    fn from_iter<T: IntoIterator<Item = &'a SimpleQueryMessage>>(messages: T) -> Self {
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|i| row.get(i).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        Self(rows.collect())
    }
}

/// One row, its columns as text.
///
/// `pub`, since the methods of a sealed public trait name it; the module is private.
#[derive(Debug)]
pub struct Row<'a>(&'a [Option<String>]);

impl Row<'_> {
    pub(crate) fn text(&self, column: usize) -> Option<&str> {
        self.0.get(column)?.as_deref()
    }

    /// A text that was sent by [`lossy::sent`](super::lossy::sent).
    pub(crate) fn lossy(&self, column: usize) -> Option<String> {
        self.text(column).map(super::lossy::read)
    }

    pub(crate) fn is_true(&self, column: usize) -> bool {
        self.text(column) == Some("t")
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&self, column: usize) -> Option<T> {
        self.text(column)?.parse().ok()
    }
}
