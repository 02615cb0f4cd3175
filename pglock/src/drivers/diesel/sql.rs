//! SQL that passes on what diesel hides: an error's SQLSTATE, and the answer of the simple protocol.

use crate::drivers::texts::{is_select, parts};

/// The row of the last statement of the latest batch, for [`columns`]; an empty text if it had none.
const ANSWER_OF_BATCH: &str = "SELECT pg_catalog.current_setting('pglock.answer')";

/// Fails only if the transaction is aborted, or the connection closed.
pub(super) const PROBE: &str = "SELECT";

/// Keeps the statement's one row in a setting, for [`ANSWER_OF_BATCH`].
const STORE_ANSWER: &str = "PERFORM pg_catalog.set_config('pglock.answer', CASE WHEN counted > 0 THEN answer::pg_catalog.text ELSE '' END, false);";

/// The prefix of the SQLSTATE in the error's field that carries it.
const MARK: &str = "pglock.sqlstate=";

/// Parses a row in Postgres' text format: in parentheses, with a quote or backslash inside quotes written twice.
pub(super) fn columns(row: &str) -> Option<Vec<Option<String>>> {
    let mut chars = row.strip_prefix('(')?.strip_suffix(')')?.chars().peekable();
    let mut columns: Vec<Option<String>> = vec![None];
    let mut quoted = false;
    while let Some(char) = chars.next() {
        if char == ',' && !quoted {
            columns.push(None);
            continue;
        }
        let column = columns.last_mut()?.get_or_insert_default();
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => column.push('"'),
            '"' => quoted = !quoted,
            '\\' => column.push(chars.next()?),
            char => column.push(char),
        }
    }
    Some(columns)
}

/// One of our texts, in the form about which diesel reports most.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// One statement for the extended protocol, of which diesel returns the rows.
    Query(String),
    Batch(Batch),
}

/// Statements for the simple protocol, of which diesel returns no rows; the statement `answer`, if there is one, has the last
/// row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) sql: String,
    pub(super) answer: Option<String>,
}

pub(super) fn text(sql: &str) -> Text {
    let (comment, statements) = parts(sql);
    if let [only] = statements[..]
        && is_select(only)
        && !looks_for_a_transaction(only)
    {
        return Text::Query(format!("{comment}{only}"));
    }
    Text::Batch(batch(sql))
}

/// One of our texts for the simple protocol, of which every statement is sent at once.
pub(super) fn batch(sql: &str) -> Batch {
    let (comment, statements) = parts(sql);
    let last = statements.len() - 1;
    let wrapped: Vec<String> = (0..)
        .zip(&statements)
        .map(|(place, statement)| with_sql_state(statement, place == last))
        .collect();
    Batch {
        sql: format!("{comment}{}", wrapped.join("; ")),
        // This will be the session's latest statement, and says which lock it holds.
        answer: is_select(statements[last]).then(|| format!("{comment}{ANSWER_OF_BATCH}")),
    }
}

/// The SQLSTATE of an error that a [`with_sql_state`] statement raised.
pub(super) fn sql_state(constraint: &str) -> Option<&str> {
    constraint.strip_prefix(MARK)
}

/// Whether a statement compares `statement_timestamp()` with `now()` to detect a transaction. That needs the simple
/// protocol: in the extended one each message sets a new `statement_timestamp()`, so the two are never equal.
fn looks_for_a_transaction(statement: &str) -> bool {
    statement.contains("statement_timestamp()")
}

/// Wraps a statement in a block that raises its errors with the SQLSTATE in a field that diesel shows. A savepoint cannot
/// run in a block, so all but `SELECT` and `LOCK` stay as they are.
///
/// Each statement has its own block, since a timeout that one sets counts only from the next statement on.
// Input:  SELECT pg_catalog.pg_advisory_lock('42'::bigint), the last statement
// Output: DO $_pglock$ DECLARE answer record; .. BEGIN EXECUTE $pglock$ SELECT pg_catalog.pg_advisory_lock('42'::bigint)
//         $pglock$ INTO answer; GET DIAGNOSTICS counted = ROW_COUNT; PERFORM pg_catalog.set_config('pglock.answer', ..);
//         EXCEPTION WHEN .. THEN .. RAISE EXCEPTION USING .., CONSTRAINT = 'pglock.sqlstate=' || SQLSTATE; END $_pglock$
fn with_sql_state(statement: &str, is_last: bool) -> String {
    let (into, store) = match (is_select(statement), is_last) {
        (true, true) => (" INTO answer", STORE_ANSWER),
        (true, false) => ("", ""),
        (false, _) if statement.starts_with("LOCK") => ("", ""),
        (false, _) => return statement.to_owned(),
    };
    let block = format!(
        "DECLARE answer record; counted bigint; detail pg_catalog.text; \
         BEGIN EXECUTE {}{into}; GET DIAGNOSTICS counted = ROW_COUNT; {store} \
         EXCEPTION WHEN OTHERS OR query_canceled THEN GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL; \
         RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, \
         DETAIL = coalesce(nullif(detail, ''), SQLSTATE), CONSTRAINT = '{MARK}' || SQLSTATE; END",
        dollar_quoted(statement)
    );
    format!("DO {}", dollar_quoted(&block))
}

/// A literal with its text unchanged, so that the lock can still be found in the session's query.
// Input:  SELECT 1
// Output: $pglock$ SELECT 1 $pglock$
fn dollar_quoted(text: &str) -> String {
    let mut tag = "$pglock$".to_owned();
    while text.contains(&tag) {
        tag.insert(1, '_');
    }
    // Without the spaces, the end of the text and the `$` of the tag could read as another tag.
    format!("{tag} {text} {tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_rows_is_a_query_unless_it_needs_the_simple_protocol() {
        assert_eq!(text("SELECT 1"), Text::Query("SELECT 1".to_owned()));
        let rollback = Batch {
            sql: "ROLLBACK".to_owned(),
            answer: None,
        };
        assert_eq!(text("ROLLBACK"), Text::Batch(rollback));
        for sql in [
            "SELECT 1; SELECT 2",
            crate::sql::transaction::IS_IN_TRANSACTION,
        ] {
            assert!(matches!(
                text(sql),
                Text::Batch(Batch {
                    answer: Some(_),
                    ..
                })
            ));
        }
    }

    #[test]
    fn statements_that_a_block_cannot_run_stay_as_they_are() {
        let Batch { sql, answer } = batch("SAVEPOINT a; SELECT 1; RELEASE SAVEPOINT a");
        assert_eq!(answer, None);
        assert!(sql.starts_with("SAVEPOINT a; DO $") && sql.ends_with("$; RELEASE SAVEPOINT a"));
    }

    #[test]
    fn a_quoted_text_does_not_end_early() {
        assert_eq!(dollar_quoted("a"), "$pglock$ a $pglock$");
        assert_eq!(
            dollar_quoted("a$pglock$b"),
            "$_pglock$ a$pglock$b $_pglock$"
        );
        assert_eq!(dollar_quoted("a$pglock"), "$pglock$ a$pglock $pglock$");
        assert!(dollar_quoted("$pglock$$_pglock$").starts_with("$__pglock$ "));
    }

    #[test]
    fn rows_are_read_as_postgres_writes_them() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(columns("(t)"), Some(vec![text("t")]));
        assert_eq!(
            columns(r#"(7s,,"","a ""b"", (c\\d)")"#),
            Some(vec![text("7s"), None, text(""), text(r#"a "b", (c\d)"#)])
        );
        assert_eq!(columns(""), None);
    }

    #[test]
    fn only_our_mark_is_a_sql_state() {
        assert_eq!(sql_state("pglock.sqlstate=55P03"), Some("55P03"));
        assert_eq!(sql_state("orders_pkey"), None);
    }
}
