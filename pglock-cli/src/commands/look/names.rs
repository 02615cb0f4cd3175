//! `names`: the names of locks that are known before a server is asked.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::args::{Format, Global};
use crate::config::Config;
use crate::failure::Failure;
use crate::names::{Entry, Known, MIGRATORS, NamedBy, Names, Taken, key_text};
use crate::show::table::{Cell, Column, table};
use crate::show::{self, json};
use crate::text;

pub(crate) fn run(global: &Global) -> Result<ExitCode, Failure> {
    let names = Names::of(global, &Config::find(global)?)?;
    let rows: Vec<Row> = names.entries().iter().map(Row::of).collect();
    let rows = rows
        .into_iter()
        .chain(MIGRATORS.iter().map(Row::of_migrator));
    if global.format() == Format::Json {
        let rows: Vec<_> = rows.map(|row| row.json()).collect();
        let document = json!({ "schema": "pglock/names/1", "names": rows });
        show::print(&json::document(&document))?;
    } else {
        let columns = [
            ("WORD", 0),
            ("NAME", 1),
            ("KEY", 0),
            ("KNOWN FROM", 0),
            ("TAKEN AT", 2),
        ];
        let columns = columns.map(|(head, shrinks)| Column {
            head: head.to_owned(),
            shrinks,
        });
        let rows: Vec<Vec<Cell>> = rows.map(|row| row.cells()).collect();
        show::print(&table(&columns, &rows, show::width()).0)?;
    }
    let same = names.same_key();
    for (one, other) in &same {
        show::say(&format!(
            "warning: {one:?} and {other:?} have the same key, and exclude each other"
        ));
    }
    let unlike = names.unlike_limits();
    for [one, other] in &unlike {
        show::say(&text::one_line(&unlike_limits(one, other)));
    }
    let all_well = same.is_empty() && unlike.is_empty();
    Ok(ExitCode::from(u8::from(!all_well)))
}

fn unlike_limits(one: &Entry, other: &Entry) -> String {
    let place = |entry: &Entry| match &entry.taken {
        Some(taken) => taken.place.clone(),
        None => entry.from.as_str().to_owned(),
    };
    format!(
        "warning: limit {:?} has {} permits at {} and {} at {}: who comes second gets an error",
        one.name,
        one.permits.unwrap_or_default(),
        place(one),
        other.permits.unwrap_or_default(),
        place(other)
    )
}

struct Row {
    /// What stands for it on the command line.
    word: String,
    name: String,
    key: Option<String>,
    /// Why it has no key.
    keyless: &'static str,
    from: NamedBy,
    taken: Option<Taken>,
}

impl Row {
    fn of(entry: &Entry) -> Self {
        Self {
            word: entry.name.clone(),
            name: entry.name.clone(),
            key: entry.id.as_ref().map(key_text),
            keyless: "depends on the call",
            from: entry.from,
            taken: entry.taken.clone(),
        }
    }

    fn of_migrator(known: &Known) -> Self {
        Self {
            word: known.word.to_owned(),
            name: known.name.to_owned(),
            key: (!known.is_of_database()).then(|| key_text(&known.key(""))),
            keyless: "depends on the database",
            from: NamedBy::BuiltIn,
            taken: None,
        }
    }

    fn json(&self) -> Value {
        let taken = self.taken.as_ref();
        json!({
            "word": self.word,
            "name": self.name,
            "key": self.key,
            "known_from": self.from.as_str(),
            "taken": taken.map(json::taken),
        })
    }

    fn cells(&self) -> Vec<Cell> {
        let taken = self.taken.as_ref();
        let from = match taken {
            Some(taken) => text::one_line(&taken.catalog),
            None => self.from.as_str().to_owned(),
        };
        let at = taken.map(
            |Taken {
                 place,
                 function,
                 how,
                 ..
             }| { text::one_line(&format!("{place}: {function}: {how}")) },
        );
        let cells = [
            text::one_line(&self.word),
            text::one_line(&self.name),
            self.key.clone().unwrap_or_else(|| self.keyless.to_owned()),
            from,
            at.unwrap_or_default(),
        ];
        cells.map(Cell::plain).to_vec()
    }
}
