//! A statement with bound values.

use crate::model::table::TableName;

/// The values of a statement, in the order of their placeholders.
#[derive(Debug, Default)]
pub(crate) struct Values(Vec<String>);

impl Values {
    /// Adds a value and returns its placeholder.
    pub(crate) fn bind(&mut self, value: String) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    /// Binds an array of pids.
    pub(crate) fn bind_pids(&mut self, pids: &[i32]) -> String {
        let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
        let bound = self.bind(format!("{{{}}}", pids.join(",")));
        format!("{bound}::int[]")
    }

    /// Binds the tables as an array of their OIDs, with NULL for a table that does not exist.
    pub(crate) fn bind_tables(&mut self, tables: &[TableName]) -> String {
        let tables: Vec<String> = tables
            .iter()
            .map(|table| format!("pg_catalog.to_regclass({})", self.bind(table.to_string())))
            .collect();
        format!("ARRAY[{}]::pg_catalog.oid[]", tables.join(", "))
    }

    pub(crate) fn into_inner(self) -> Vec<String> {
        self.0
    }
}

/// The values of the first placeholders.
impl From<Vec<String>> for Values {
    fn from(values: Vec<String>) -> Self {
        Self(values)
    }
}

/// A statement and the values bound to it.
pub(crate) type Statement = (String, Vec<String>);
