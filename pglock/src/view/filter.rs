//! Filters in django-pglock's syntax: from a text to a condition with bound values.

use super::enums::parse_name;
use super::fields::{ColumnType, Entity, Field};
use crate::error::Error;
use crate::sql::{Values, lossy};

/// Per filter. The protocol allows 65,535 values for a whole statement.
const MOST_VALUES: usize = 1000;

/// Whether a filter keeps the rows that match, or excludes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matches {
    Keep,
    Exclude,
}

/// A parsed filter.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    of: Entity,
    field: &'static Field,
    lookup: Lookup,
    values: Vec<String>,
    matches: Matches,
}

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lookup {
    Exact,
    IExact,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Range,
    Contains,
    IContains,
    StartsWith,
    IStartsWith,
    EndsWith,
    IEndsWith,
    Regex,
    IRegex,
    IsNull,
}

impl Lookup {
    const ALL: [(&'static str, Self); 17] = [
        ("exact", Self::Exact),
        ("iexact", Self::IExact),
        ("gt", Self::Gt),
        ("gte", Self::Gte),
        ("lt", Self::Lt),
        ("lte", Self::Lte),
        ("in", Self::In),
        ("range", Self::Range),
        ("contains", Self::Contains),
        ("icontains", Self::IContains),
        ("startswith", Self::StartsWith),
        ("istartswith", Self::IStartsWith),
        ("endswith", Self::EndsWith),
        ("iendswith", Self::IEndsWith),
        ("regex", Self::Regex),
        ("iregex", Self::IRegex),
        ("isnull", Self::IsNull),
    ];

    fn of(name: &str) -> Option<Self> {
        let (_, lookup) = Self::ALL.iter().find(|(known, _)| *known == name)?;
        Some(*lookup)
    }

    fn applies_to(self, column_type: ColumnType) -> bool {
        match self {
            Self::Exact | Self::In | Self::IsNull => true,
            Self::Gt | Self::Gte | Self::Lt | Self::Lte | Self::Range => {
                !matches!(column_type, ColumnType::Enum(_) | ColumnType::Bool)
            }
            Self::IExact
            | Self::Contains
            | Self::IContains
            | Self::StartsWith
            | Self::IStartsWith
            | Self::EndsWith
            | Self::IEndsWith
            | Self::Regex
            | Self::IRegex => matches!(column_type, ColumnType::Text | ColumnType::Enum(_)),
        }
    }

    /// Whether the value is a whole value of the field, not a part of one or a pattern.
    fn takes_whole_values(self) -> bool {
        self.applies_to(ColumnType::Bool)
            || self.applies_to(ColumnType::Int)
            || self == Self::IExact
    }
}

impl Condition {
    /// Parses `field__lookup=value`. With `blocked`, the fields of the blocker are known too.
    pub(crate) fn parse(text: &str, blocked: bool, matches: Matches) -> Result<Self, Error> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(Error::config(format!(
                "filter {text:?} has no `=`; write `field=value` or `field__lookup=value`, such as `wait_duration__gte=5 seconds`"
            )));
        };
        let key = key.trim();
        let (of, field, lookup) = resolve(key, blocked)?;
        let lookup = match lookup {
            None => Lookup::Exact,
            Some(name) => match Lookup::of(name) {
                Some(lookup) if lookup.applies_to(field.column_type) => lookup,
                _ => return Err(no_lookup(key, name, field)),
            },
        };
        Ok(Self {
            of,
            field,
            lookup,
            values: values(key, value, field, lookup)?,
            matches,
        })
    }

    /// The field as SQL. A text that is not valid in the encoding of this database would make functions fail, which Postgres
    /// may also call for sessions that the rest of the statement leaves out.
    // Input:  activity__query
    // Output: CASE WHEN a.is_readable THEN a."query" ELSE (SELECT ..) END
    fn column(&self) -> String {
        let column = self.of.column(self.field);
        match (self.of, self.field.column_type) {
            (Entity::Activity | Entity::Blocker, ColumnType::Text) => format!(
                "CASE WHEN {} THEN {column} ELSE {} END",
                self.of.is_readable(),
                lossy::in_ascii(&column)
            ),
            _ => column,
        }
    }

    /// The condition as SQL, its values bound.
    // Input:  activity__duration__gt=1 minute, excluded
    // Output: (a."duration" > $1::interval) IS NOT TRUE
    pub(crate) fn sql(&self, values: &mut Values) -> String {
        let column = self.column();
        let cast = match self.field.column_type {
            _ if self.lookup == Lookup::IsNull => "::boolean",
            ColumnType::Text | ColumnType::Enum(_) => "",
            ColumnType::Int => "::bigint",
            ColumnType::Bool => "::boolean",
            ColumnType::Duration => "::interval",
            ColumnType::Time => "::pg_catalog.timestamptz",
        };
        let bound: Vec<String> = self
            .values
            .iter()
            .map(|value| values.bind(value.clone()) + cast)
            .collect();
        // There is always one value: an empty text counts.
        let value = bound.first().map_or("NULL", String::as_str);
        let upper = |text: &str| format!("pg_catalog.upper({text})");
        let condition = match self.lookup {
            Lookup::Exact => format!("{column} = {value}"),
            Lookup::IExact => format!("{} = {}", upper(&column), upper(value)),
            Lookup::Gt => format!("{column} > {value}"),
            Lookup::Gte => format!("{column} >= {value}"),
            Lookup::Lt => format!("{column} < {value}"),
            Lookup::Lte => format!("{column} <= {value}"),
            Lookup::In => format!("{column} IN ({})", bound.join(", ")),
            Lookup::Range => format!("{column} BETWEEN {}", bound.join(" AND ")),
            // Not `LIKE`, where `%`, `_` and `\` are special.
            Lookup::Contains => format!("pg_catalog.strpos({column}, {value}) > 0"),
            Lookup::IContains => format!(
                "pg_catalog.strpos({}, {}) > 0",
                upper(&column),
                upper(value)
            ),
            Lookup::StartsWith => format!("pg_catalog.starts_with({column}, {value})"),
            Lookup::IStartsWith => format!(
                "pg_catalog.starts_with({}, {})",
                upper(&column),
                upper(value)
            ),
            Lookup::EndsWith => ends_with(&column, value),
            Lookup::IEndsWith => ends_with(&upper(&column), &upper(value)),
            Lookup::Regex => format!("{column} ~ {value}"),
            Lookup::IRegex => format!("{column} ~* {value}"),
            Lookup::IsNull => format!("({column} IS NULL) = {value}"),
        };
        match self.matches {
            Matches::Keep => condition,
            // As in Django, NULL does not match, so its row is not excluded.
            Matches::Exclude => format!("({condition}) IS NOT TRUE"),
        }
    }
}

// Input:  l."rel_name", $1
// Output: pg_catalog.right(l."rel_name", pg_catalog.length($1)) = $1
fn ends_with(text: &str, end: &str) -> String {
    format!("pg_catalog.right({text}, pg_catalog.length({end})) = {end}")
}

/// Splits a key into entity, field and, if there is one, the name of the lookup.
fn resolve(key: &str, blocked: bool) -> Result<(Entity, &'static Field, Option<&str>), Error> {
    let mut parts = key.split("__").peekable();
    let first = parts.next().unwrap_or_default();
    let (of, name) = match first {
        "activity" | "activity_id" => (Entity::Activity, None),
        "blocking_activity" | "blocking_activity_id" if blocked => (Entity::Blocker, None),
        // The name in django-pglock.
        "type" => (Entity::Lock, Some("kind")),
        name => (Entity::Lock, Some(name)),
    };
    let name = match name {
        Some(name) => name,
        // A session without a field means its pid, as a foreign key does in Django.
        None if first.ends_with("_id") => "pid",
        None => match parts.peek() {
            None => "pid",
            Some(next) if Lookup::of(next).is_some() => "pid",
            Some(_) => parts.next().unwrap_or_default(),
        },
    };
    let name = if name == "id" { "pid" } else { name };
    let field = of.fields().iter().find(|field| field.name == name);
    match (field, parts.next(), parts.next()) {
        (Some(field), lookup, None) => Ok((of, field, lookup)),
        (Some(field), Some(lookup), Some(_)) => Err(no_lookup(key, lookup, field)),
        _ => Err(no_field(key, blocked)),
    }
}

/// Splits a text into the values of the lookup, and checks them.
fn values(key: &str, text: &str, field: &Field, lookup: Lookup) -> Result<Vec<String>, Error> {
    if text.contains('\0') {
        return Err(Error::config(format!(
            "the value of filter {key:?} contains a NUL, which postgres cannot store; leave it out"
        )));
    }
    let values: Vec<&str> = match lookup {
        Lookup::In | Lookup::Range => text.split(',').collect(),
        _ => vec![text],
    };
    if lookup == Lookup::Range && values.len() != 2 {
        return Err(Error::config(format!(
            "filter {key:?} has {} values and a range needs two; write `{key}=from,to`",
            values.len()
        )));
    }
    if values.len() > MOST_VALUES {
        return Err(Error::config(format!(
            "filter {key:?} has {} values and may have {MOST_VALUES}; split the query",
            values.len()
        )));
    }
    let column_type = match lookup {
        Lookup::IsNull => ColumnType::Bool,
        _ if lookup.takes_whole_values() => field.column_type,
        // Part of a name, or a pattern for one.
        _ => ColumnType::Text,
    };
    values
        .into_iter()
        .map(|value| checked(key, value, column_type))
        .collect()
}

/// Rejects values that the server would reject. Times and durations are left to the server, which knows all their formats.
fn checked(key: &str, value: &str, column_type: ColumnType) -> Result<String, Error> {
    let refused = |wanted: &str| {
        Error::config(format!(
            "the value {value:?} of filter {key:?} is not {wanted}"
        ))
    };
    match column_type {
        ColumnType::Text | ColumnType::Duration | ColumnType::Time => Ok(value.to_owned()),
        ColumnType::Enum(known) => parse_name(value, known).map(str::to_owned).map_err(|_| {
            refused(&format!(
                "one of its names; write one of {}",
                known.join(", ")
            ))
        }),
        ColumnType::Int => value
            .trim()
            .parse::<i64>()
            .map(|value| value.to_string())
            .map_err(|_| refused("an integer; write one such as 42")),
        ColumnType::Bool => match value.trim() {
            "true" | "True" | "t" | "1" => Ok("true".to_owned()),
            "false" | "False" | "f" | "0" => Ok("false".to_owned()),
            _ => Err(refused("a boolean; write True or False")),
        },
    }
}

fn no_field(key: &str, blocked: bool) -> Error {
    let mut of = vec![Entity::Lock, Entity::Activity];
    if blocked {
        of.push(Entity::Blocker);
    }
    let fields: Vec<String> = of
        .into_iter()
        .flat_map(|of| of.fields().iter().map(move |field| (of, field)))
        .map(|(of, field)| match of.prefix() {
            "" if field.name == "kind" => "kind (or type)".to_owned(),
            "" => field.name.to_owned(),
            prefix => format!("{prefix}__{}", field.name),
        })
        .collect();
    Error::config(format!(
        "filter {key:?} does not name a field; the fields are {}",
        fields.join(", ")
    ))
}

fn no_lookup(key: &str, name: &str, field: &Field) -> Error {
    let lookups: Vec<&str> = Lookup::ALL
        .iter()
        .filter(|(_, lookup)| lookup.applies_to(field.column_type))
        .map(|(name, _)| *name)
        .collect();
    Error::config(format!(
        "{name:?} in filter {key:?} is not a lookup of this field; the lookups are {}",
        lookups.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(text: &str) -> (String, Vec<String>) {
        let mut values = Values::default();
        let sql = Condition::parse(text, true, Matches::Keep)
            .unwrap()
            .sql(&mut values);
        (sql, values.into_inner())
    }

    fn refused(text: &str) -> String {
        let error = Condition::parse(text, false, Matches::Keep).unwrap_err();
        assert!(error.is_config(), "{error}");
        error.to_string()
    }

    #[test]
    fn values_are_bound() {
        let evil = "x'; DROP TABLE orders; --";
        let (text, values) = sql(&format!("rel_name__in={evil},b"));
        assert_eq!(text, r#"l."rel_name" IN ($1, $2)"#);
        assert_eq!(values, [evil, "b"]);
        let (text, _) = sql("activity__duration__gt=1 minute");
        assert_eq!(text, r#"a."duration" > $1::interval"#);
        let (text, _) = sql("wait_duration__range=1 second,2 seconds");
        assert_eq!(
            text,
            r#"l."wait_duration" BETWEEN $1::interval AND $2::interval"#
        );
    }

    #[test]
    fn a_session_stands_for_its_pid() {
        for key in [
            "activity",
            "activity_id",
            "activity__pid",
            "activity__id",
            "pid",
            "id",
        ] {
            assert_eq!(sql(&format!("{key}=7")).0, "l.pid = $1::bigint", "{key}");
        }
        assert_eq!(
            sql("blocking_activity__in=7,8").0,
            "x.pid IN ($1::bigint, $2::bigint)"
        );
    }

    #[test]
    fn words_are_checked_and_spelled() {
        assert_eq!(sql("type=advisory").1, ["ADVISORY"]);
        assert_eq!(
            sql("blocking_activity__state=idle in transaction").1,
            ["IDLE_IN_TRANSACTION"]
        );
        assert_eq!(sql("activity__state__startswith=idle").1, ["idle"]);
        let text = refused("kind=ADVISERY");
        assert!(
            text.contains("ADVISERY") && text.contains("SPECTOKEN, OBJECT"),
            "{text}"
        );
    }

    #[test]
    fn what_is_unknown_is_refused_with_what_is_known() {
        assert!(refused("colour=red").contains("rel_name, schema"));
        assert!(!refused("colour=red").contains("blocking_activity__"));
        assert!(refused("blocking_activity__state=IDLE").contains("activity__state"));
        assert!(refused("granted__gt=true").contains("exact, in, isnull"));
        assert!(refused("rel_name__like=x").contains("istartswith"));
        assert!(refused("activity__duration__year__gt=1").contains("range"));
        for text in [
            "",
            "=",
            "granted",
            "granted=yes",
            "pid=x",
            "pid__range=1",
            "rel_name=\0",
            "activity__context__url=/",
        ] {
            refused(text);
        }
    }
}
