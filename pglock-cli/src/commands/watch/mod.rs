//! `watch`: who blocks whom, live.

mod acting;
mod draw;
mod input;
mod keys;
mod live;
mod model;
mod panic_for_a_test;
mod plain;
mod rows;
mod source;
mod terminal;

#[cfg(test)]
mod made_up;

use std::process::ExitCode;
use std::time::Duration;

use crate::args::{self, Format, Global, View, WatchArgs};
use crate::commands::act::victims;
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::text;
use draw::{Cost, Palette, Status};
use live::Limits;
use source::Source;

const REFRESH: Duration = Duration::from_secs(2);

pub(crate) fn run(global: &Global, args: &WatchArgs) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    let names = Names::of(global, &config)?;
    let refresh = match args.refresh {
        Some(refresh) => refresh,
        None => configured(&config)?.unwrap_or(REFRESH),
    };
    let is_json = match global.format() {
        Format::Table => false,
        Format::Json => true,
        Format::Expanded | Format::Csv => {
            return Err(Failure::new(
                "`watch` writes a tree, or a line of json at each look; leave out --output, or pass --json",
            ));
        }
    };
    let is_live = !is_json && terminal::is_there();
    if !is_live && args.view != View::Blocked {
        return Err(Failure::new(
            "without a terminal, and with --json, only who blocks whom is written; leave out --view",
        ));
    }
    let never = victims::never(&config)?;
    let code = connect::block_on(async {
        let database = connect::database(global, &config, "watch")?;
        let mut source = Source::new(database, args.select.clone(), names);
        if !is_live {
            return plain::run(source, refresh, is_json).await;
        }
        // Before the terminal is changed: what is wrong with the command line is said as elsewhere.
        let first = source.look(args.view).await?;
        let server = source.server();
        let place = server.map(|server| {
            let database = text::one_line(&server.database);
            // Without what the distributor says of it.
            let version = server.version.split(' ').next().unwrap_or_default();
            format!("{database} at {} · PostgreSQL {version}", server.at)
        });
        let status = Status {
            place: place.unwrap_or_default(),
            refresh,
            at: None,
            outage: None,
            cost: Cost::default(),
            may_act: config.may_act(global, "terminate").is_ok(),
            palette: Palette {
                has_colors: has_colors(),
            },
        };
        let limits = Limits {
            never,
            global,
            config: &config,
        };
        live::run(source, first, args.view, status, limits).await
    })?;
    Ok(ExitCode::from(code))
}

fn configured(config: &Config) -> Result<Option<Duration>, Failure> {
    let refresh = config.text("refresh")?.map(args::refresh).transpose();
    refresh.map_err(|error| Failure::new(format!("`refresh` of pglock.toml: {error}")))
}

/// As for all that is printed: `--color`, `NO_COLOR` and the like.
fn has_colors() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}
