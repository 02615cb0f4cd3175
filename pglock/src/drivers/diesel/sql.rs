//! SQL that makes up for what diesel does not tell: an error's SQLSTATE, and what the simple protocol answers.

/// The row that the last statement of the latest batch gave, for [`columns`]; an empty text where it gave none.
pub(super) const ANSWER_OF_BATCH: &str = "SELECT pg_catalog.current_setting('pglock.answer')";

/// Can fail for one reason only: that the transaction is aborted.
pub(super) const PROBE: &str = "SELECT";

/// Notes the one row that a statement gave.
const NOTE_ANSWER: &str = "PERFORM pg_catalog.set_config('pglock.answer', CASE WHEN counted > 0 THEN answer::pg_catalog.text ELSE '' END, false);";

/// What an error's SQLSTATE has before it in the field that carries it.
const MARK: &str = "pglock.sqlstate=";

/// The columns of a row as Postgres writes it: in parentheses, with a quote or backslash inside quotes written twice.
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

/// A text of ours, in the form that diesel can tell most of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// One statement, for the extended protocol, which gives rows.
    Query(String),
    /// Statements for the simple protocol, which gives none; with `answers`, [`ANSWER_OF_BATCH`] has the last one's.
    Batch { sql: String, answers: bool },
}

pub(super) fn text(sql: &str) -> Text {
    let statements = statements(sql);
    if let [only] = statements[..]
        && is_select(only)
        && !looks_for_a_transaction(only)
    {
        return Text::Query(only.to_owned());
    }
    let last = statements.len() - 1;
    let told: Vec<String> = (0..)
        .zip(&statements)
        .map(|(place, statement)| told(statement, place == last))
        .collect();
    Text::Batch {
        sql: told.join("; "),
        answers: is_select(statements[last]),
    }
}

/// The SQLSTATE of an error that a [`told`] statement raised.
pub(super) fn sql_state(constraint: &str) -> Option<&str> {
    constraint.strip_prefix(MARK)
}

/// The statements of a text of ours: parted at the semicolons outside quotes. A quote inside quotes is written twice
/// there, so every quote begins or ends something.
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

/// Whether a statement looks for a transaction, which takes the simple protocol: in the extended one each of its
/// messages has a time of its own, so that `statement_timestamp()` is never `now()`.
fn looks_for_a_transaction(statement: &str) -> bool {
    statement.contains("statement_timestamp()")
}

fn is_select(statement: &str) -> bool {
    statement.starts_with("SELECT")
}

/// A statement whose errors carry their SQLSTATE where diesel shows it. A savepoint and its like can't be run in a
/// block, and stay as they are.
///
/// A block of its own for each statement: one may set a timeout that counts from the next on.
fn told(statement: &str, is_last: bool) -> String {
    let (into, note) = match (is_select(statement), is_last) {
        (true, true) => (" INTO answer", NOTE_ANSWER),
        (true, false) => ("", ""),
        (false, _) if statement.starts_with("LOCK") => ("", ""),
        (false, _) => return statement.to_owned(),
    };
    let block = format!(
        "DECLARE answer record; counted bigint; detail pg_catalog.text; \
         BEGIN EXECUTE {}{into}; GET DIAGNOSTICS counted = ROW_COUNT; {note} \
         EXCEPTION WHEN OTHERS OR query_canceled THEN GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL; \
         RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, \
         DETAIL = coalesce(nullif(detail, ''), SQLSTATE), CONSTRAINT = '{MARK}' || SQLSTATE; END",
        dollar_quoted(statement)
    );
    format!("DO {}", dollar_quoted(&block))
}

/// A text as a literal with nothing in it changed, so that who looks at the session's query finds the lock in it.
fn dollar_quoted(text: &str) -> String {
    let mut tag = "$pglock$".to_owned();
    while text.contains(&tag) {
        tag.insert(1, '_');
    }
    // The spaces: else the end of the text and the beginning of the tag could be a tag.
    format!("{tag} {text} {tag}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::WaitPolicy;
    use crate::model::table::TableMode;

    #[test]
    fn what_gives_rows_is_a_query_unless_it_needs_the_simple_protocol() {
        assert_eq!(text("SELECT 1"), Text::Query("SELECT 1".to_owned()));
        let rollback = Text::Batch {
            sql: "ROLLBACK".to_owned(),
            answers: false,
        };
        assert_eq!(text("ROLLBACK"), rollback);
        for sql in [
            "SELECT 1; SELECT 2",
            crate::sql::transaction::IS_IN_TRANSACTION,
        ] {
            assert!(matches!(text(sql), Text::Batch { answers: true, .. }));
        }
    }

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
        let sql = crate::sql::lock_timeout::restore_lock_timeout(r#"a';"b\"#, true);
        assert_eq!(statements(&sql), [&sql]);
    }

    #[test]
    fn statements_that_a_block_cannot_run_stay_as_they_are() {
        let Text::Batch { sql, answers } = text("SAVEPOINT a; SELECT 1; RELEASE SAVEPOINT a")
        else {
            panic!("it is a batch")
        };
        assert!(!answers);
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
