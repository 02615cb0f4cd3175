//! `doctor`: what about this server and this role would surprise who relies on locks.

mod checks;
mod patient;
mod transactions;

use std::process::ExitCode;

use serde_json::json;

use super::look::query::Server;
use crate::args::{DoctorArgs, Format, Global};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::show::{self, json, style};
use crate::text;
use checks::CHECKS;
use patient::{Level, Patient};

/// What a check has found.
#[derive(Debug)]
struct Finding {
    check: &'static str,
    level: Level,
    text: String,
}

pub(crate) fn run(global: &Global, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    if let Some(unknown) = args
        .skip
        .iter()
        .find(|skip| CHECKS.iter().all(|(name, _)| name != skip))
    {
        let known: Vec<_> = CHECKS.iter().map(|(name, _)| *name).collect();
        return Err(Failure::new(format!(
            "{unknown:?} is not a check; write one of {}",
            known.join(", ")
        )));
    }
    let config = Config::find(global)?;
    let names = Names::of(global, &config)?;
    let (place, findings) = connect::block_on(async {
        let database = connect::database(global, &config, "doctor")?;
        let client = connect::to_look(&database).await?;
        let server = Server::of(&client).await?;
        let place = checks::place(&client, &server).await?;
        let patient = Patient {
            database: &database,
            client: &client,
            server: &server,
            names: &names,
            idle: args.idle,
        };
        let mut findings = Vec::new();
        for (name, check) in CHECKS {
            if !args.skip.iter().any(|skip| skip == name) {
                let found = check.of(&patient).await?;
                findings.extend(found.into_iter().map(|(level, text)| Finding {
                    check: name,
                    level,
                    text,
                }));
            }
        }
        Ok((place, findings))
    })?;
    let warnings = findings
        .iter()
        .filter(|finding| finding.level >= Level::Warn)
        .count();
    if global.format() == Format::Json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| json!({ "check": finding.check, "level": finding.level.as_str(), "text": finding.text }))
            .collect();
        show::print(&json::document(&json!({
            "schema": "pglock/doctor/1", "server": place, "findings": findings,
        })))?;
    } else {
        let lines: Vec<_> = findings.iter().map(Finding::line).collect();
        show::print(&format!("{place}\n\n{}", lines.concat()))?;
        show::say(&match warnings {
            0 => "no warnings".to_owned(),
            1 => "1 warning".to_owned(),
            more => format!("{more} warnings"),
        });
    }
    Ok(ExitCode::from(u8::from(warnings > 0)))
}

impl Finding {
    fn line(&self) -> String {
        let style = match self.level {
            Level::Ok | Level::Info => style::DIM,
            Level::Warn => style::IDLES,
            Level::Fail => style::WAITS,
        };
        let level = style::painted(&format!("{:<5}", self.level.as_str()), style);
        let check = style::painted(&format!("{:<14}", self.check), style::DIM);
        let indent = 5 + 14;
        let most = show::width().unwrap_or(100).saturating_sub(indent).max(40);
        let lines = text::wrapped(&text::one_line(&self.text), most);
        let rest = format!("\n{:indent$}", "");
        format!("{level}{check}{}\n", lines.join(&rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_on_the_page() {
        let page = include_str!("../../../README.md");
        for (name, _) in CHECKS {
            assert!(page.contains(&format!("\n| `{name}` | ")), "{name}");
        }
    }
}
