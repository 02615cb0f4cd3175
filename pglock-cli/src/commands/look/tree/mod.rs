//! `tree`: who blocks whom.

mod picture;

use std::process::ExitCode;

use pglock::{Lock, WaitEdge};

use super::limits::{self, Limit};
use super::query::{ByName, Server};
use crate::args::{Format, Global, TreeArgs};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::show::attribute::Naming;
use crate::show::tree::Tree;
use crate::show::{self, json};

pub(crate) fn run(global: &Global, args: &TreeArgs) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    let mut names = Names::of(global, &config)?;
    let (server, graph) = connect::block_on(async {
        let database = connect::database(global, &config, "tree")?;
        let mut client = connect::to_look(&database).await?;
        let server = Server::of(&client).await?;
        let mut query = pglock::wait_graph();
        if !args.on.is_empty() {
            query = query.on(args.on.iter().map(String::as_str));
        }
        let by_name = ByName::of_words(&args.lock, &server.database, &mut names)?;
        let limits = limits::of_server(&mut client, &names, by_name.ids()).await?;
        names.add_of_limits(limits.iter().flat_map(Limit::names));
        let by_table = !args.on.is_empty();
        let pids = (!args.pid.is_empty()).then(|| args.pid.clone());
        let mut graph = limits::graph(&mut client, query.clone(), pids, by_table, &limits).await?;
        if args.min_wait.is_some() || !args.lock.is_empty() {
            let is_long = |edge: &WaitEdge<'_>| {
                let least = args.min_wait;
                least.is_none_or(|least| edge.lock.wait_duration.is_some_and(|it| it >= least))
            };
            let is_of_limit = |lock: &Lock| {
                let asked = |limit: &&Limit| by_name.ids().any(|id| limit.is(&id));
                limits.iter().filter(asked).any(|limit| limit.has(lock))
            };
            let fits = |edge: &WaitEdge<'_>| {
                is_long(edge) && (by_name.fits(edge.lock) || is_of_limit(edge.lock))
            };
            // Whole trees: who waits so hangs together with others.
            let waiters = graph.edges().filter(fits);
            let pids: Vec<i32> = waiters.map(|edge| edge.waiter.activity.pid).collect();
            graph = limits::graph(&mut client, query, Some(pids), by_table, &limits).await?;
        }
        Ok((server, graph))
    })?;
    let naming = Naming {
        names: &names,
        database: &server.database,
    };
    let tree = Tree::new(&graph, naming);
    if args.dot {
        show::print(&graph.to_dot())?;
    } else if let Some(path) = &args.svg {
        let picture = picture::svg(&tree);
        if path.as_os_str() == "-" {
            show::print(&picture)?;
        } else {
            std::fs::write(path, picture).map_err(|error| {
                Failure::new(format!("cannot write {}: {error}", path.display()))
            })?;
        }
    } else if global.format() == Format::Json {
        show::print(&json::document(&tree.json(&server.json())))?;
    } else if graph.is_empty() {
        show::say("nobody waits for a lock");
    } else {
        show::print(&tree.text(show::width()))?;
        show::say(&tree.summary());
    }
    Ok(ExitCode::from(u8::from(args.exit_code && graph.is_empty())))
}
