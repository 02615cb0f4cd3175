//! `tree`: who blocks whom.

mod picture;

use std::process::ExitCode;

use pglock::WaitEdge;

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
        if !args.pid.is_empty() {
            query = query.pid(args.pid.iter().copied());
        }
        if !args.on.is_empty() {
            query = query.on(args.on.iter().map(String::as_str));
        }
        let mut graph = query.clone().fetch_async(&mut client).await?;
        let by_name = ByName::of_words(&args.lock, &server.database, &mut names)?;
        if args.min_wait.is_some() || !args.lock.is_empty() {
            let is_long = |edge: &WaitEdge<'_>| {
                let least = args.min_wait;
                least.is_none_or(|least| edge.lock.wait_duration.is_some_and(|it| it >= least))
            };
            let fits = |edge: &WaitEdge<'_>| is_long(edge) && by_name.fits(edge.lock);
            // Whole trees: who waits so hangs together with others.
            let waiters = graph.edges().filter(fits);
            let pids: Vec<i32> = waiters.map(|edge| edge.waiter.activity.pid).collect();
            graph = query.pid(pids).fetch_async(&mut client).await?;
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
