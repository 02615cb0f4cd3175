//! Connection URLs, as text.

use std::fmt::Write;

/// `url` with its database replaced. Both forms that libpq knows are understood: URLs and
/// `host=... user=...`.
pub(crate) fn with_database(url: &str, database: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // The last mention of a keyword wins.
        return format!("{url} dbname='{database}'");
    };
    let (address, query) = match rest.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (rest, String::new()),
    };
    let authority = address.split('/').next().unwrap_or_default();
    format!(
        "{scheme}://{authority}/{}{query}",
        encode(database.as_bytes())
    )
}

/// Percent-encodes what isn't plainly allowed in every part of a URL.
pub(crate) fn encode(text: &[u8]) -> String {
    let mut encoded = String::new();
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_is_replaced() {
        assert_eq!(
            with_database("postgres://u:p@h:5432/old", "new"),
            "postgres://u:p@h:5432/new"
        );
        assert_eq!(with_database("postgres://h", "a b"), "postgres://h/a%20b");
        assert_eq!(
            with_database("postgres://h/old?sslmode=disable", "new"),
            "postgres://h/new?sslmode=disable"
        );
        assert_eq!(
            with_database("postgres:///old?host=/tmp/x", "new"),
            "postgres:///new?host=/tmp/x"
        );
        assert_eq!(
            with_database("host=h dbname=old", "new"),
            "host=h dbname=old dbname='new'"
        );
    }
}
