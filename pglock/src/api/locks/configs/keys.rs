//! The keys of a configuration and the types of their values. Pure.

use toml::Spanned;
use toml::de::DeValue;

/// The content of a table `[configs.NAME]`.
#[derive(Debug, Default)]
pub(super) struct Config {
    pub(super) filters: Vec<String>,
    pub(super) exclude: Vec<String>,
    pub(super) on: Option<Vec<String>>,
    pub(super) pids: Option<Vec<i32>>,
    pub(super) granted: Option<bool>,
    pub(super) limit: Option<u32>,
    pub(super) database: Option<tokio_postgres::Config>,
}

/// The keys of a configuration, each with the type of its value and an example.
pub(super) const KEYS: [(&str, &str, &str); 7] = [
    (
        "filters",
        "a list of texts",
        r#"filters = ["wait_duration__gt=1 minute"]"#,
    ),
    (
        "exclude",
        "a list of texts",
        r#"exclude = ["activity__state=IDLE"]"#,
    ),
    (
        "on",
        "a list of texts",
        r#"on = ["orders", "billing.invoices"]"#,
    ),
    ("pids", "a list of 32-bit integers", "pids = [12, 13]"),
    ("granted", "`true` or `false`", "granted = false"),
    ("limit", "a 32-bit integer without a sign", "limit = 10"),
    (
        "database",
        "a URL or a keyword string",
        r#"database = "postgres://user@host/database""#,
    ),
];

/// Keys of the command `pglock`, which reads the same file: at the top, and in a configuration.
pub(super) const OF_COMMAND: [&str; 8] = [
    "attributes",
    "blocking_attributes",
    "database",
    "databases",
    "limit",
    "names",
    "never_application",
    "refresh",
];
pub(super) const OF_COMMAND_IN_CONFIG: [&str; 6] = [
    "attributes",
    "blocking",
    "cancel",
    "expanded",
    "terminate",
    "yes",
];

impl Config {
    /// Sets the value of a key; `None` if the key cannot have it.
    pub(super) fn set(&mut self, key: &str, value: &DeValue<'_>) -> Option<()> {
        match key {
            "filters" => self.filters = list(value, text)?,
            "exclude" => self.exclude = list(value, text)?,
            "on" => self.on = Some(list(value, text)?),
            "pids" => self.pids = Some(list(value, integer)?),
            "granted" => self.granted = Some(value.as_bool()?),
            "limit" => self.limit = Some(integer(value)?),
            "database" => self.database = Some(value.as_str()?.parse().ok()?),
            _ => return None,
        }
        Some(())
    }
}

fn list<T>(value: &DeValue<'_>, item: impl Fn(&DeValue<'_>) -> Option<T>) -> Option<Vec<T>> {
    let items = value.as_array()?.iter();
    items.map(Spanned::get_ref).map(item).collect()
}

fn text(value: &DeValue<'_>) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn integer<T: TryFrom<i64>>(value: &DeValue<'_>) -> Option<T> {
    let integer = value.as_integer()?;
    let integer = i64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    integer.try_into().ok()
}
