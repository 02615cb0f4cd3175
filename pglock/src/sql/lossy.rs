//! Texts that may not be valid in their encoding: how the server sends them, and how they are read.
//!
//! Postgres shows the statements of all databases as their bytes are, and databases can have different encodings; names of
//! roles, databases and prepared transactions are shared likewise. In a database in `SQL_ASCII` any bytes are a text, and
//! a statement is cut within a character. If such a text were sent as it is, the server would fail at that, *after* it has
//! signaled a session in the same row, or the driver would fail to read it. So it is sent as its bytes.

/// The text as it is to be sent, in ASCII: the digits of its bytes, quoted. `is_here` says whether it is from this database;
/// then the server converts it if that has another encoding.
// Input:  s.query, true
// Output: CASE WHEN true AND pg_catalog.current_setting('server_encoding') NOT IN ('UTF8', 'SQL_ASCII') THEN '=' || s.query
//         ELSE pg_catalog.encode(pg_catalog.quote_literal(s.query)::pg_catalog.bytea, 'hex') END
pub(crate) fn sent(text: &str, is_here: &str) -> String {
    format!(
        "CASE WHEN {is_here} AND pg_catalog.current_setting('server_encoding') NOT IN ('UTF8', 'SQL_ASCII') THEN '=' || {text} \
         ELSE pg_catalog.encode({}, 'hex') END",
        bytes(text)
    )
}

/// Reads what [`sent`] has sent; `\u{fffd}` stands for what cannot be read.
pub(crate) fn read(sent: &str) -> String {
    if let Some(text) = sent.strip_prefix('=') {
        return text.to_owned();
    }
    let digits = sent.as_bytes().chunks_exact(2);
    let quoted: Vec<u8> = digits.filter_map(byte).collect();
    String::from_utf8_lossy(&unquoted(&quoted)).into_owned()
}

/// The text in ASCII, for functions that fail at what is not valid in the encoding of this database: each byte of other
/// characters is its number in octal digits.
// Input:  s.query
// Output: (SELECT pg_catalog.replace(pg_catalog.replace(pg_catalog.left(pg_catalog.right(q.text, ..), -1), .., ..), .., ..)
//         FROM (SELECT pg_catalog.encode(pg_catalog.quote_literal(s.query)::pg_catalog.bytea, 'escape')) q(text))
pub(crate) fn in_ascii(text: &str) -> String {
    // No backslash in the text: its meaning depends on `standard_conforming_strings`.
    const BACKSLASH: &str = "pg_catalog.chr(92)";
    format!(
        "(SELECT pg_catalog.replace(pg_catalog.replace(pg_catalog.left(pg_catalog.right(q.text, \
         CASE WHEN pg_catalog.starts_with(q.text, 'E') THEN -2 ELSE -1 END), -1), '''''', ''''), {BACKSLASH} || {BACKSLASH}, {BACKSLASH}) \
         FROM (SELECT pg_catalog.encode({}, 'escape')) q(text))",
        bytes(text)
    )
}

/// The bytes of a text, quoted. A text is cast to bytes by the escapes in it, so its backslashes have to be doubled, and
/// `quote_literal` does so byte by byte, where other functions fail at an invalid character.
fn bytes(text: &str) -> String {
    format!("pg_catalog.quote_literal({text})::pg_catalog.bytea")
}

fn byte(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

/// What is between the quotes. The backslashes are single again.
// Input:  E'it''s \ here'
// Output: it's \ here
fn unquoted(quoted: &[u8]) -> Vec<u8> {
    let quoted = quoted.strip_prefix(b"E").unwrap_or(quoted);
    let inner = quoted.strip_prefix(b"'").unwrap_or(quoted);
    let mut inner = inner.strip_suffix(b"'").unwrap_or(inner).iter().copied();
    let mut text = Vec::with_capacity(inner.len());
    while let Some(byte) = inner.next() {
        text.push(byte);
        if byte == b'\'' {
            inner.next();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use pglock_tests::database;

    use super::*;

    #[test]
    fn a_text_is_read_as_it_was() {
        let db = database();
        let mut client = db.connect();
        for text in [
            "",
            "'",
            "''",
            "E",
            "E'",
            "\\",
            "\\\\'",
            "\\x41",
            "\\101",
            "=",
            "it's \\ here\n",
            "größe 日本 🙂",
        ] {
            let query = format!(
                "SELECT {} FROM (SELECT $1::text) t(text)",
                sent("t.text", "true")
            );
            let row = client.query_one(&query, &[&text]).unwrap();
            assert_eq!(read(row.get(0)), text);
        }
    }

    #[test]
    fn what_is_not_valid_is_read_in_part() {
        assert_eq!(read("27c3bc27"), "ü");
        assert_eq!(read("276162c327"), "ab\u{fffd}");
        assert_eq!(read("=größe"), "größe");
        assert_eq!(read(""), "");
    }

    #[test]
    fn in_ascii_a_text_of_ascii_is_the_same() {
        let db = database();
        let mut client = db.connect();
        for (text, expected) in [
            ("SELECT 'it''s' \\ E'\n'", "SELECT 'it''s' \\ E'\n'"),
            ("'", "'"),
            ("", ""),
            ("größe", "gr\\303\\266\\303\\237e"),
        ] {
            let query = format!(
                "SELECT {} FROM (SELECT $1::text) t(text)",
                in_ascii("t.text")
            );
            let row = client.query_one(&query, &[&text]).unwrap();
            assert_eq!(row.get::<_, String>(0), expected);
        }
    }
}
