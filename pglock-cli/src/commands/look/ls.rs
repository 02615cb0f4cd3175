//! `ls` and `blocked`: locks, one row each.

use std::process::ExitCode;

use clap::builder::styling::Style;
use pglock::{Activity, BlockedLock, Lock};
use serde_json::json;
use tokio_postgres::Client;

use super::fields;
use super::limits::{self, Limit};
use super::query::{ByName, Server, blocked_locks, locks};
use crate::args::{Format, Global, HitArgs, LsArgs};
use crate::commands::act::hit;
use crate::commands::act::victims::Verb;
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::show::attribute::{
    Attribute, DEFAULT, DEFAULT_BLOCKED, Found, Naming, OfActivity, idles, waits, why_left_out,
};
use crate::show::table::{Cell, Column, table};
use crate::show::{self, json, style};
use crate::text;

/// How many rows there are unless another number is asked for: django-pglock's.
const LIMIT: usize = 25;

/// How many rows of those who wait are counted that are not shown. A queue has half as many as the square of its length: a
/// thousand sessions have half a million.
const COUNTED: usize = 1_000;

pub(crate) fn run(global: &Global, args: &LsArgs) -> Result<ExitCode, Failure> {
    if args.fields {
        show::print(&fields::all())?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::find(global)?.with_database_of(args.config.as_deref());
    let mut args = args.clone();
    let are_chosen = !args.attribute.is_empty();
    if let Some(name) = args.config.clone()
        && let Some(said) = config.apply(&name, &mut args)?
    {
        show::say(&said);
    }
    if !are_chosen && let Some(attributes) = attributes_of_environment(args.blocking) {
        args.attribute = attributes;
    }
    if args.cancel || args.terminate {
        let verb = if args.cancel {
            Verb::Cancel
        } else {
            Verb::Terminate
        };
        let args = HitArgs {
            select: args.select,
            blocking: args.blocking,
            all: args.all,
            // Only one that was asked for: it must not depend on how many rows fit on a screen.
            limit: args.limit.filter(|limit| *limit > 0),
            dry_run: false,
            yes: args.yes,
        };
        return hit::run(global, &config, &args, verb);
    }
    let mut names = Names::of(global, &config)?;
    let attributes = attributes(&args, &config)?;
    let limit = match args.limit {
        Some(limit) => limit,
        None if !args.select.pid.is_empty() => 0,
        None => config.limit()?.unwrap_or(LIMIT),
    };
    let limit = if limit == 0 { usize::MAX } else { limit };
    let listing = connect::block_on(async {
        let database = connect::database(global, &config, "ls")?;
        let mut client = connect::to_look(&database).await?;
        look(&mut client, &args, &mut names, limit).await
    })?;
    listing.print(&Output {
        format: if args.expanded {
            Format::Expanded
        } else {
            global.format()
        },
        attributes: &attributes,
        names: &names,
        limit,
    })?;
    let code = u8::from(args.exit_code && listing.rows.is_empty());
    Ok(ExitCode::from(code))
}

/// As settings of django-pglock are called; before what a file says.
fn attributes_of_environment(blocking: bool) -> Option<Vec<String>> {
    let variable = if blocking {
        "PGLOCK_BLOCKING_ATTRIBUTES"
    } else {
        "PGLOCK_ATTRIBUTES"
    };
    let attributes = std::env::var(variable).ok();
    let attributes = attributes.filter(|attributes| !attributes.is_empty())?;
    Some(
        attributes
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect(),
    )
}

fn attributes(args: &LsArgs, config: &Config) -> Result<Vec<Attribute>, Failure> {
    let (key, default): (_, &[Attribute]) = if args.blocking {
        ("blocking_attributes", &DEFAULT_BLOCKED)
    } else {
        ("attributes", &DEFAULT)
    };
    let chosen = match &args.attribute[..] {
        [] => config.texts(key)?.unwrap_or_default(),
        chosen => chosen.to_vec(),
    };
    if chosen.is_empty() {
        return Ok(default.to_vec());
    }
    chosen.iter().map(|name| Attribute::parse(name)).collect()
}

/// What was found, but for what was left out.
struct Listing {
    server: Server,
    blocking: bool,
    rows: Vec<Row>,
    /// How many, by the reasons of [`LeftOut`](crate::show::attribute::LeftOut).
    left_out: [usize; 3],
    /// Whether there are rows that were not asked for.
    are_more: bool,
}

struct Row {
    lock: Lock,
    blocker: Option<Activity>,
}

async fn look(
    client: &mut Client,
    args: &LsArgs,
    names: &mut Names,
    limit: usize,
) -> Result<Listing, Failure> {
    let server = Server::of(client).await?;
    let by_name = ByName::of(&args.select, &server.database, names)?;
    let mut are_more = false;
    let mut rows: Vec<Row> = if args.blocking {
        let mut query = blocked_locks(&args.select, &by_name)?;
        let most = match args.limit {
            Some(0) => None,
            _ if limit == usize::MAX => Some(COUNTED),
            _ => Some(limit.max(COUNTED)),
        };
        if let Some(most) = most.and_then(|most| u32::try_from(most).ok()) {
            query = query.limit(most.saturating_add(1));
        }
        let mut found = query.fetch_async(client).await?;
        are_more = most.is_some_and(|most| found.len() > most);
        if are_more {
            found.pop();
        }
        let row = |found: BlockedLock| Row {
            lock: found.lock,
            blocker: Some(found.blocking_activity),
        };
        found.into_iter().map(row).collect()
    } else {
        let found = locks(&args.select, &by_name)?.fetch_async(client).await?;
        let row = |lock| Row {
            lock,
            blocker: None,
        };
        found.into_iter().map(row).collect()
    };
    rows.retain(|row| by_name.fits(&row.lock));
    let limits = limits::among(rows.iter().map(|row| &row.lock), names.limits());
    names.add_of_limits(limits.iter().flat_map(Limit::names));
    let mut left_out = [0; 3];
    if !args.all {
        let by_table = !args.select.on.is_empty();
        rows.retain(|row| {
            let Some(why) = why_left_out(&row.lock, server.pid, by_table) else {
                return true;
            };
            left_out[why as usize] += 1;
            false
        });
    }
    Ok(Listing {
        server,
        blocking: args.blocking,
        rows,
        left_out,
        are_more,
    })
}

struct Output<'o> {
    format: Format,
    attributes: &'o [Attribute],
    names: &'o Names,
    limit: usize,
}

impl Listing {
    fn print(&self, output: &Output<'_>) -> Result<(), Failure> {
        let naming = Naming {
            names: output.names,
            database: &self.server.database,
        };
        let shown = &self.rows[..self.rows.len().min(output.limit)];
        match output.format {
            Format::Json => Ok(show::print(&self.json(shown, naming))?),
            Format::Csv => self.csv(shown, output.attributes, naming),
            Format::Expanded => {
                show::print(&expanded(shown, output.attributes, naming))?;
                self.say_what_is_missing(shown.len(), false);
                Ok(())
            }
            Format::Table if shown.is_empty() => {
                self.say_what_is_missing(0, false);
                Ok(())
            }
            Format::Table => {
                let rows: Vec<_> = shown
                    .iter()
                    .map(|row| cells(row, output.attributes, naming))
                    .collect();
                let (text, is_cut) = table(&columns(output.attributes), &rows, show::width());
                show::print(&text)?;
                self.say_what_is_missing(shown.len(), is_cut);
                Ok(())
            }
        }
    }

    fn json(&self, shown: &[Row], naming: Naming<'_>) -> String {
        let rows: Vec<_> = shown
            .iter()
            .map(|row| json::lock(&row.lock, row.blocker.as_ref(), naming))
            .collect();
        let [catalog, own_transaction, own_session] = self.left_out;
        json::document(&json!({
            "schema": if self.blocking { "pglock/blocked/1" } else { "pglock/locks/1" },
            "server": self.server.json(),
            "locks": rows,
            "left_out": {
                "catalog": catalog,
                "own_transaction": own_transaction,
                "own_session": own_session,
                "limit": self.rows.len() - shown.len(),
                // Then these are not all.
                "uncounted": self.are_more,
            },
        }))
    }

    fn csv(
        &self,
        shown: &[Row],
        attributes: &[Attribute],
        naming: Naming<'_>,
    ) -> Result<(), Failure> {
        let wrong = |error: csv::Error| Failure::new(format!("cannot write csv: {error}"));
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer
            .write_record(attributes.iter().map(|attribute| attribute.name()))
            .map_err(wrong)?;
        for row in shown {
            let value =
                |attribute: &Attribute| attribute.value(row.found(), naming).unwrap_or_default();
            writer
                .write_record(attributes.iter().map(value))
                .map_err(wrong)?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| Failure::new(format!("cannot write csv: {error}")))?;
        show::print(&String::from_utf8_lossy(&bytes))?;
        self.say_what_is_missing(shown.len(), false);
        Ok(())
    }

    fn say_what_is_missing(&self, shown: usize, is_cut: bool) {
        let out: usize = self.left_out.iter().sum();
        let others = "of catalogs, transactions' own, or this session's";
        let mut said = Vec::new();
        if shown == 0 {
            let none = if self.blocking {
                "nobody waits for a lock"
            } else {
                "no locks"
            };
            said.push(match out {
                0 => none.to_owned(),
                _ => format!("{none} but those {others} ({out}; --all)"),
            });
        } else if self.are_more {
            said.push(format!(
                "{shown} of more than {} (-l {shown})",
                self.rows.len()
            ));
        } else if self.rows.len() > shown {
            said.push(format!("{shown} of {} (-l {shown})", self.rows.len()));
        }
        if shown > 0 && out > 0 {
            let are = if out == 1 {
                "1 more is"
            } else {
                &format!("{out} more are")
            };
            said.push(format!("{are} {others} (--all)"));
        }
        if is_cut {
            said.push("-e shows what was cut off".to_owned());
        }
        let waits_too = |row: &Row| row.blocker.as_ref().is_some_and(waits);
        if self.rows.iter().take(shown).any(waits_too) {
            said.push("who WAITS_TOO is not at the root: pglock tree".to_owned());
        }
        if !said.is_empty() {
            show::say(&said.join("; "));
        }
    }
}

impl Row {
    fn found(&self) -> Found<'_> {
        Found {
            lock: &self.lock,
            blocker: self.blocker.as_ref(),
        }
    }
}

fn columns(attributes: &[Attribute]) -> Vec<Column> {
    let column = |attribute: &Attribute| Column {
        head: attribute.head(),
        shrinks: attribute.shrinks(),
    };
    attributes.iter().map(column).collect()
}

fn cells(row: &Row, attributes: &[Attribute], naming: Naming<'_>) -> Vec<Cell> {
    let cell = |attribute: &Attribute| {
        let value = attribute.value(row.found(), naming).unwrap_or_default();
        let style = style_of(*attribute, row);
        if attribute.is_statement() {
            Cell::styled(text::statement(&value), style)
        } else if attribute.is_state() {
            Cell::state(text::one_line(&value), style)
        } else {
            Cell::styled(text::one_line(&value), style)
        }
    };
    attributes.iter().map(cell).collect()
}

fn style_of(attribute: Attribute, row: &Row) -> Style {
    match attribute {
        Attribute::Lock => style::NAME,
        Attribute::OfActivity(OfActivity::Does) if idles(&row.lock.activity) => style::IDLES,
        Attribute::OfBlocker(OfActivity::Does) if row.blocker.as_ref().is_some_and(idles) => {
            style::IDLES
        }
        Attribute::OfBlocker(OfActivity::Does) if row.blocker.as_ref().is_some_and(waits) => {
            style::WAITS
        }
        Attribute::OfLock(_) if !row.lock.granted => style::WAITS,
        _ => style::PLAIN,
    }
}

/// A block of lines for each row, with nothing cut.
fn expanded(rows: &[Row], attributes: &[Attribute], naming: Naming<'_>) -> String {
    let wide = attributes
        .iter()
        .map(|attribute| attribute.name().len())
        .max()
        .unwrap_or(0);
    let mut out = String::new();
    for (nth, row) in rows.iter().enumerate() {
        out += &style::painted(&format!("─ {} {}", nth + 1, "─".repeat(40)), style::DIM);
        out.push('\n');
        for attribute in attributes {
            let value = attribute.value(row.found(), naming).unwrap_or_default();
            let mut lines = text::lines(&value).into_iter();
            let first = lines.next().unwrap_or_default();
            let name = attribute.name();
            let line = format!(
                "{name:wide$}  {}",
                style::painted(&first, style_of(*attribute, row))
            );
            out += line.trim_end();
            out.push('\n');
            for line in lines {
                out += format!("{:wide$}  {line}", "").trim_end();
                out.push('\n');
            }
        }
    }
    out
}
