//! Where there is no terminal: the tree with the time in front, at each look.

use std::time::{Duration, SystemTime};

use pglock::WaitGraph;
use serde_json::Value;

use super::source::Source;
use crate::commands::look::query::Server;
use crate::failure::Failure;
use crate::show::tree::Tree;
use crate::show::{self, attribute};
use crate::text;

/// Ends when the output is closed, or by a signal.
pub(super) async fn run(
    mut source: Source,
    refresh: Duration,
    is_json: bool,
) -> Result<u8, Failure> {
    let mut looked: Result<WaitGraph, Failure> = Ok(source.graph().await?);
    let mut is_away = false;
    loop {
        match looked {
            Ok(graph) => {
                is_away = false;
                show::print(&written(&source, &graph, is_json))?;
            }
            // Once, and not at each look.
            Err(failure) => {
                if !std::mem::replace(&mut is_away, true) {
                    let why = text::one_line(&failure.text());
                    show::say(&format!("{}  no answer, trying again: {why}", now()));
                }
            }
        }
        tokio::time::sleep(refresh).await;
        looked = source.graph().await;
    }
}

fn now() -> String {
    attribute::time(SystemTime::now())
}

fn written(source: &Source, graph: &WaitGraph, is_json: bool) -> String {
    let tree = Tree::new(graph, source.naming());
    if is_json {
        // By this machine's clock: the server's would be a statement more.
        let mut server = source.server().map_or(Value::Null, Server::json);
        server["time"] = now().into();
        return format!("{}\n", tree.json(&server));
    }
    if graph.is_empty() {
        return format!("{}  nobody waits for a lock\n", now());
    }
    format!(
        "{}  {}\n{}",
        now(),
        tree.summary(),
        tree.text(show::width())
    )
}
