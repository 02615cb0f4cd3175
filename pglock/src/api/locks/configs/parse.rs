//! From the text of a file to its configurations. Pure.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Config, KEYS, OF_COMMAND, OF_COMMAND_IN_CONFIG};

/// What is wrong with a file, and in which line. Never shows the line itself, which may contain a password.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) text: String,
}

/// All configurations of a file, not only the one to use: a mistake in another is reported before that one is needed.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, Config>, Mistake> {
    let mistake = |at: usize, problem: String| Mistake {
        line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
        text: problem,
    };
    let document = DeTable::parse(text).map_err(|error| {
        // Its `Display` would show the line.
        let at = error.span().map_or(text.len(), |span| span.start);
        mistake(at, format!("this is not TOML: {}", error.message()))
    })?;
    let mut found = BTreeMap::new();
    for (key, configs) in document.get_ref() {
        let at = key.span().start;
        let key = key.get_ref();
        if OF_COMMAND.contains(&&**key) {
            continue;
        }
        if key != "configs" {
            let problem =
                format!("{key:?} is not a key of this file; write a table `[configs.NAME]`");
            return Err(mistake(at, problem));
        }
        for (name, config) in table(configs).ok_or_else(|| mistake(at, not_a_table(key)))? {
            let at = name.span().start;
            let name = name.get_ref();
            let config = table(config).ok_or_else(|| mistake(at, not_a_table(name)))?;
            let config = read(name, config).map_err(|(at, problem)| mistake(at, problem))?;
            found.insert(name.to_string(), config);
        }
    }
    Ok(found)
}

fn table<'v, 'i>(value: &'v Spanned<DeValue<'i>>) -> Option<&'v DeTable<'i>> {
    value.get_ref().as_table()
}

fn not_a_table(key: &str) -> String {
    format!("{key:?} is not a table; write `[configs.NAME]`")
}

fn read(name: &str, table: &DeTable<'_>) -> Result<Config, (usize, String)> {
    let mut config = Config::default();
    for (key, value) in table {
        let at = key.span().start;
        let key = key.get_ref();
        if OF_COMMAND_IN_CONFIG.contains(&&**key) {
            continue;
        }
        let Some((_, value_type, example)) = KEYS.iter().find(|(known, ..)| known == key) else {
            let keys = KEYS.map(|(known, ..)| known).join(", ");
            let problem =
                format!("{key:?} is not a key of configuration {name:?}; the keys are {keys}");
            return Err((at, problem));
        };
        config.set(key, value.get_ref()).ok_or_else(|| {
            let problem = format!(
                "{key:?} of configuration {name:?} is {value_type}; write it as in `{example}`"
            );
            (value.span().start, problem)
        })?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (usize, String) {
        let Mistake { line, text } = parse(text).unwrap_err();
        (line, text)
    }

    #[test]
    fn every_key_is_read() {
        let configs = parse(
            r#"
            configs.empty = {}
            [configs."odd name"]
            filters = ["granted=True", 'rel_name__regex=\d']
            exclude = ["pid=1"]
            on = ["orders", "billing.invoices"]
            pids = [12, 0x0d, -1]
            granted = false
            limit = 1_000
            database = "host=db dbname=app password=secret"
            "#,
        );
        let configs = configs.unwrap();
        let config = &configs["odd name"];
        assert_eq!(config.filters, ["granted=True", r"rel_name__regex=\d"]);
        assert_eq!(config.exclude, ["pid=1"]);
        assert_eq!(
            config.on.as_deref().unwrap(),
            ["orders", "billing.invoices"]
        );
        assert_eq!(config.pids.as_deref(), Some(&[12, 13, -1][..]));
        assert_eq!((config.granted, config.limit), (Some(false), Some(1000)));
        let database = config.database.as_ref().unwrap();
        assert_eq!(database.get_dbname(), Some("app"));
        assert!(!format!("{config:?}").contains("secret"));
        assert!(configs["empty"].pids.is_none() && configs["empty"].on.is_none());
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn keys_of_the_command_are_passed_over() {
        let configs = parse(
            r#"
            database = "prod"
            limit = 25
            never_application = ["pg_dump"]
            [databases]
            prod = { url = "postgres://ops@db/app", read_only = true }
            [names]
            locks = ["nightly-report"]
            [configs.long]
            filters = ["wait_duration__gte=1 minute"]
            blocking = true
            yes = true
            "#,
        );
        assert_eq!(configs.unwrap()["long"].filters.len(), 1);
    }

    #[test]
    fn each_mistake_is_reported_with_its_line() {
        for (text, line, expected) in [
            ("\n\nconfigs = [", 3, "not TOML"),
            ("[configs.a]\nlimit = 1\nlimit = 2", 3, "not TOML"),
            ("[config.a]", 1, "[configs.NAME]"),
            ("configs = 1", 1, "not a table"),
            ("[configs]\na = 1", 2, "not a table"),
            ("[configs.a]\nfilter = []", 2, "filters, exclude, on, pids"),
            ("[configs.a]\n\nfilters = 'x=1'", 3, "filters = ["),
            ("[configs.a]\nfilters = [1]", 2, "filters = ["),
            ("[configs.a]\non = [['a', 'b']]", 2, "on = ["),
            (
                "[configs.a]\npids = [2147483648]",
                2,
                "32-bit integers; write it as in `pids = [12, 13]`",
            ),
            ("[configs.a]\npids = ['1']", 2, "32-bit"),
            ("[configs.a]\nlimit = -1", 2, "without a sign"),
            ("[configs.a]\nlimit = 1.0", 2, "without a sign"),
            ("[configs.a]\ngranted = 'False'", 2, "`true` or `false`"),
            ("[configs.a]\ndatabase = 'app'", 2, "postgres://"),
        ] {
            let (found, problem) = refused(text);
            assert_eq!(found, line, "{text}: {problem}");
            assert!(problem.contains(expected), "{text}: {problem}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        for text in [
            "[configs.a]\ndatabase = \"postgres://app:secret@db/app",
            "[configs.a]\ndatabase = 'postgres://app:secret@db:port/app'",
            "[configs.a]\ndatabase = 'host=db password=secret oops'",
        ] {
            let (_, problem) = refused(text);
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
