//! `names`: the names of locks that are known before a server is asked.

use std::process::ExitCode;

use pglock::LockId;
use serde_json::json;

use crate::args::{Format, Global};
use crate::config::Config;
use crate::failure::Failure;
use crate::names::{MIGRATORS, NamedBy, Names, key_text};
use crate::show::table::{Cell, Column, table};
use crate::show::{self, json, text};

struct Entry {
    word: String,
    name: String,
    key: Option<String>,
    from: NamedBy,
}

pub(crate) fn run(global: &Global) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    let entries = entries(&Names::of(&config)?);
    let same = same_key(&entries);
    if global.format() == Format::Json {
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| json!({ "word": entry.word, "name": entry.name, "key": entry.key, "known_from": entry.from.as_str() }))
            .collect();
        show::print(&json::document(
            &json!({ "schema": "pglock/names/1", "names": entries }),
        ))?;
    } else {
        let columns =
            [("WORD", 0), ("NAME", 1), ("KEY", 0), ("KNOWN FROM", 0)].map(|(head, shrinks)| {
                Column {
                    head: head.to_owned(),
                    shrinks,
                }
            });
        let rows: Vec<Vec<Cell>> = entries
            .iter()
            .map(|entry| {
                let key = entry.key.as_deref().unwrap_or("depends on the database");
                [
                    text::one_line(&entry.word),
                    text::one_line(&entry.name),
                    key.to_owned(),
                    entry.from.as_str().to_owned(),
                ]
                .map(Cell::plain)
                .to_vec()
            })
            .collect();
        show::print(&table(&columns, &rows, show::width()).0)?;
    }
    for (one, other) in &same {
        show::say(&format!(
            "warning: {one:?} and {other:?} have the same key, and exclude each other"
        ));
    }
    Ok(ExitCode::from(u8::from(!same.is_empty())))
}

fn entries(names: &Names) -> Vec<Entry> {
    let configured = names.configured().map(|name| Entry {
        word: name.to_owned(),
        name: name.to_owned(),
        key: Some(key_text(&LockId::from(name))),
        from: NamedBy::Config,
    });
    let known = MIGRATORS.iter().map(|known| Entry {
        word: known.word.to_owned(),
        name: known.name.to_owned(),
        key: (!known.is_of_database()).then(|| key_text(&known.key(""))),
        from: NamedBy::BuiltIn,
    });
    configured.chain(known).collect()
}

fn same_key(entries: &[Entry]) -> Vec<(&str, &str)> {
    let pairs = entries
        .iter()
        .enumerate()
        .flat_map(|(nth, one)| entries[nth + 1..].iter().map(move |other| (one, other)));
    pairs
        .filter(|(one, other)| one.key.is_some() && one.key == other.key && one.word != other.word)
        .map(|(one, other)| (one.word.as_str(), other.word.as_str()))
        .collect()
}
