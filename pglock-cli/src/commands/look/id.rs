//! `id`: what a lock is called in `pg_locks`, and the way back.

use std::process::ExitCode;

use clap::ValueEnum as _;
use pglock::LockId;
use serde_json::json;

use crate::args::{Format, Global, IdArgs, Scheme};
use crate::config::Config;
use crate::failure::Failure;
use crate::names::{self, Names, is_pair, key_text, packed};
use crate::show::table::{Cell, Column, table};
use crate::show::{self, json};

pub(crate) fn run(global: &Global, args: &IdArgs) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    let database = name_of_database(global, &config)?;
    match (&args.name, &args.of) {
        (Some(name), _) if args.every => {
            show::print(&every(name, database.as_deref(), global.format()))?;
            Ok(ExitCode::SUCCESS)
        }
        (Some(name), _) => {
            let meant = names::read(name, args.scheme, database.as_deref())?;
            show::print(&described(&meant, global.format()))?;
            Ok(ExitCode::SUCCESS)
        }
        (None, Some(of)) => way_back(global, &config, of, database.as_deref()),
        (None, None) => Err(Failure::new("a name is missing")),
    }
}

/// Without a connection: from the URL, for the migrators whose key depends on it.
fn name_of_database(global: &Global, config: &Config) -> Result<Option<String>, Failure> {
    let named = match config.named(global)? {
        Some(named) => Some(config.url_of(named).unwrap_or(named).to_owned()),
        None => std::env::var("DATABASE_URL").ok(),
    };
    let parsed = named.and_then(|url| url.parse::<tokio_postgres::Config>().ok());
    Ok(parsed.and_then(|config| config.get_dbname().map(str::to_owned)))
}

fn described(meant: &names::Meant, format: Format) -> String {
    let (classid, objid) = pglock::advisory_id(meant.id.clone());
    let objsubid = if is_pair(&meant.id) { 2 } else { 1 };
    let key = key_text(&meant.id);
    let find = format!(
        "SELECT pid, mode, granted FROM pg_locks WHERE locktype = 'advisory' AND classid = {classid} AND objid = {objid} AND objsubid = {objsubid}"
    );
    let take = format!("SELECT pg_advisory_lock({key})");
    let python = in_python(&meant.id);
    if format == Format::Json {
        return json::document(&json!({
            "schema": "pglock/id/1", "name": meant.called, "key": key,
            "classid": classid, "objid": objid, "objsubid": objsubid, "find": find, "take": take, "python": python,
        }));
    }
    let what = if is_pair(&meant.id) { "pair" } else { "key" };
    let python = python.map(|python| format!("python    {python}    # of django-pglock\n"));
    format!(
        "name      {}\n{what:9} {key}\npg_locks  classid {classid}, objid {objid}, objsubid {objsubid}\nfind      {find}\ntake      {take}\n{}",
        crate::text::one_line(&meant.called),
        python.unwrap_or_default()
    )
}

/// How django-pglock takes the same lock, which has no pairs. A text of JSON is one of Python, too.
fn in_python(id: &LockId) -> Option<String> {
    match id {
        LockId::Name(name) => Some(format!("pglock.advisory({})", json!(name))),
        id if is_pair(id) => None,
        id => Some(format!("pglock.advisory({})", key_text(id))),
    }
}

/// The keys that all schemes make of the name.
fn every(name: &str, database: Option<&str>, format: Format) -> String {
    let columns = [("SCHEME", 0), ("KEY", 0), ("CLASSID", 0), ("OBJID", 0)];
    let columns = columns.map(|(head, shrinks)| Column {
        head: head.to_owned(),
        shrinks,
    });
    let mut rows = Vec::new();
    let mut keys = Vec::new();
    // `auto` is one of the others.
    let schemes = Scheme::value_variants().iter();
    for scheme in schemes.filter(|scheme| **scheme != Scheme::Auto) {
        let Some(called) = scheme.to_possible_value() else {
            continue;
        };
        if let Ok(meant) = names::read(name, *scheme, database) {
            let (classid, objid) = pglock::advisory_id(meant.id.clone());
            let called = called.get_name().to_owned();
            keys.push(json!({
                "scheme": called, "key": key_text(&meant.id), "classid": classid, "objid": objid,
                "objsubid": if is_pair(&meant.id) { 2 } else { 1 },
            }));
            let cells = [
                called,
                key_text(&meant.id),
                classid.to_string(),
                objid.to_string(),
            ];
            rows.push(cells.map(Cell::plain).to_vec());
        }
    }
    if format == Format::Json {
        let every = json!({ "schema": "pglock/id/1", "name": name, "keys": keys });
        return json::document(&every);
    }
    table(&columns, &rows, show::width()).0
}

fn way_back(
    global: &Global,
    config: &Config,
    of: &[u32],
    database: Option<&str>,
) -> Result<ExitCode, Failure> {
    let (classid, objid) = (of[0], of[1]);
    let id = match of.get(2) {
        None | Some(1) => {
            LockId::Key(((u64::from(classid) << 32) | u64::from(objid)).cast_signed())
        }
        Some(2) => LockId::Pair(classid.cast_signed(), objid.cast_signed()),
        Some(other) => {
            return Err(Failure::new(format!(
                "{other} is not the objsubid of an advisory lock; write 1 or 2"
            )));
        }
    };
    let names = Names::of(global, config)?;
    let packed = packed::name(&id);
    let (name, by) = names.of_key(&id, database.unwrap_or_default()).unzip();
    let by = by.map(names::NamedBy::as_str);
    if global.format() == Format::Json {
        show::print(&json::document(&json!({
            "schema": "pglock/id/1", "name": name, "named_by": by, "key": key_text(&id),
            "classid": classid, "objid": objid, "objsubid": of.get(2).unwrap_or(&1), "packed": packed,
        })))?;
    } else {
        let what = if matches!(id, LockId::Pair(..)) {
            "pair"
        } else {
            "key"
        };
        let text = if let (Some(name), Some(by)) = (&name, by) {
            let taken: Vec<_> = names
                .taken(&id)
                .map(|taken| format!("{}, {}", taken.catalog, taken.place))
                .collect();
            let by = if taken.is_empty() {
                by.to_owned()
            } else {
                taken.join("; ")
            };
            format!("{name:?} ({by}), {what} {}\n", key_text(&id))
        } else {
            let hint = if database.is_none() && packed.is_none() {
                "; pass -d to compare with migrators' keys, some of which depend on the database"
            } else {
                ""
            };
            let packed = packed.map(|name| {
                format!("; as DistributedLock (.NET) packs short names, it reads {name:?}")
            });
            format!(
                "no name is known for the {what} {}{}{hint}\n",
                key_text(&id),
                packed.unwrap_or_default()
            )
        };
        show::print(&text)?;
    }
    Ok(ExitCode::from(u8::from(name.is_none())))
}
