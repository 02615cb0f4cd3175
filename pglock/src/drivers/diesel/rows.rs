//! Rows of any shape, as text.

use diesel::deserialize::{self, QueryableByName};
use diesel::pg::Pg;
use diesel::row::{Field, NamedRow, Row};

use crate::drivers::texts::from_binary;

/// A row with any number of columns, as text.
pub(super) struct TextRow(pub(super) Vec<Option<String>>);

impl QueryableByName<Pg> for TextRow {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        (0..row.field_count())
            .map(|column| {
                let field = Row::get(row, column).ok_or("a column is missing")?;
                field
                    .value()
                    .map(|value| from_binary(value.get_oid().get(), value.as_bytes()))
                    .transpose()
            })
            .collect::<deserialize::Result<_>>()
            .map(TextRow)
    }
}
