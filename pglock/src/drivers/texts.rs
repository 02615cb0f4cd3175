//! What drivers need that show less than all rows of a text with several statements, or show them in the binary format.

use tokio_postgres::types::Type;

use crate::sql::comment;

/// The comment that one of our texts begins with, and its statements. The comment names the lock, whose name may contain
/// anything.
pub(super) fn parts(sql: &str) -> (&str, Vec<&str>) {
    let (comment, sql) = comment::split(sql);
    (comment, statements(sql))
}

/// Splits one of our texts into statements, at the semicolons outside quotes. A quote inside quotes is written twice, so
/// toggling at each quote is enough.
fn statements(sql: &str) -> Vec<&str> {
    let mut open = None;
    let parts = sql.split(|char| {
        match open {
            None if char == '\'' || char == '"' => open = Some(char),
            Some(quote) if quote == char => open = None,
            _ => {}
        }
        open.is_none() && char == ';'
    });
    parts.map(str::trim).collect()
}

pub(super) fn is_select(statement: &str) -> bool {
    statement.starts_with("SELECT")
}

/// Converts a value from the protocol's binary format to its text format. Only the types that our statements return are
/// known.
pub(super) fn from_binary(
    oid: u32,
    bytes: &[u8],
) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    match Type::from_oid(oid) {
        Some(Type::BOOL) => Ok(if bytes == [1] { "t" } else { "f" }.to_owned()),
        Some(Type::INT4) => Ok(i32::from_be_bytes(bytes.try_into()?).to_string()),
        Some(Type::TEXT | Type::NAME | Type::VOID) => Ok(std::str::from_utf8(bytes)?.to_owned()),
        other => Err(format!("a column of type {other:?} is not expected").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::WaitPolicy;
    use crate::model::table::TableMode;

    #[test]
    fn statements_are_parted_outside_quotes() {
        let tables = [r#"a; b"c;"#.into(), "it's;".into()];
        let sql = crate::sql::transaction::lock_tables(
            &tables,
            TableMode::Share,
            Some(WaitPolicy::NoWait),
        );
        assert_eq!(
            statements(&sql),
            [
                "SAVEPOINT pglock",
                r#"LOCK TABLE "a; b""c;", "it's;" IN SHARE MODE NOWAIT"#,
                "RELEASE SAVEPOINT pglock"
            ]
        );
        let sql = crate::sql::lock_timeout::restore_lock_timeout(r#"a';"b\"#, true, 7);
        assert_eq!(statements(&sql), [&sql]);
    }
}
