//! Rows of any shape, as text.

use diesel::deserialize::{self, QueryableByName};
use diesel::pg::Pg;
use diesel::row::{Field, NamedRow, Row};
use tokio_postgres::types::Type;

/// A row with any number of columns, as text. Only the types that our statements return are known.
pub(super) struct TextRow(pub(super) Vec<Option<String>>);

impl QueryableByName<Pg> for TextRow {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> deserialize::Result<Self> {
        (0..row.field_count())
            .map(|column| {
                let field = Row::get(row, column).ok_or("a column is missing")?;
                field
                    .value()
                    .map(|value| as_text(value.get_oid().get(), value.as_bytes()))
                    .transpose()
            })
            .collect::<deserialize::Result<_>>()
            .map(TextRow)
    }
}

/// Converts a value from the protocol's binary format to its text format.
fn as_text(oid: u32, bytes: &[u8]) -> deserialize::Result<String> {
    match Type::from_oid(oid) {
        Some(Type::BOOL) => Ok(if bytes == [1] { "t" } else { "f" }.to_owned()),
        Some(Type::INT4) => Ok(i32::from_be_bytes(bytes.try_into()?).to_string()),
        Some(Type::TEXT | Type::NAME | Type::VOID) => Ok(std::str::from_utf8(bytes)?.to_owned()),
        other => Err(format!("a column of type {other:?} is not expected").into()),
    }
}
