//! `tree`: who blocks whom.

mod picture;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::process::ExitCode;

use pglock::{State, WaitEdge, WaitGraph, WaitSession};
use serde_json::{Value, json};

use super::query::Server;
use crate::args::{Format, Global, TreeArgs};
use crate::config::Config;
use crate::connect;
use crate::failure::Failure;
use crate::names::Names;
use crate::show::attribute::{Naming, what};
use crate::show::{self, json, style, text};

pub(crate) fn run(global: &Global, args: &TreeArgs) -> Result<ExitCode, Failure> {
    let config = Config::find(global)?;
    let names = Names::of(&config)?;
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
        if let Some(wait) = args.min_wait {
            let long = |edge: WaitEdge<'_>| {
                let is_long = edge.lock.wait_duration.is_some_and(|lasted| lasted >= wait);
                is_long.then_some(edge.waiter.activity.pid)
            };
            // Whole trees: who waits for long hangs together with others.
            let pids: Vec<i32> = graph.edges().filter_map(long).collect();
            graph = query.pid(pids).fetch_async(&mut client).await?;
        }
        Ok((server, graph))
    })?;
    let naming = Naming {
        names: &names,
        database: &server.database,
    };
    let tree = Tree {
        graph: &graph,
        naming,
    };
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
        show::print(&json::document(&tree.json(&server)))?;
    } else if graph.is_empty() {
        show::say("nobody waits for a lock");
    } else {
        show::print(&tree.text(show::width()))?;
        show::say(&tree.summary());
    }
    Ok(ExitCode::SUCCESS)
}

/// The graph, in words.
struct Tree<'t> {
    graph: &'t WaitGraph,
    naming: Naming<'t>,
}

/// A place in the tree: a session below the one that it waits for, or a mention of it.
struct Node<'t> {
    session: &'t WaitSession,
    edge: Option<WaitEdge<'t>>,
    /// The session is described elsewhere.
    is_mention: bool,
    /// For each step from the root, whether it is the last there.
    last: Vec<bool>,
}

impl<'t> Tree<'t> {
    /// All places, from the top.
    fn nodes(&self) -> Vec<Node<'t>> {
        let mut described = HashSet::new();
        let mut nodes = Vec::new();
        let cycles = self.graph.cycles();
        let of_cycles = cycles.iter().filter_map(|cycle| cycle.first().copied());
        for start in of_cycles.chain(self.graph.roots()) {
            self.descend(start, &mut described, &mut nodes);
        }
        nodes
    }

    /// Without recursion: a queue can be longer than the stack of a thread is deep.
    fn descend(
        &self,
        start: &'t WaitSession,
        described: &mut HashSet<*const WaitSession>,
        nodes: &mut Vec<Node<'t>>,
    ) {
        let mut stack = vec![Node {
            session: start,
            edge: None,
            is_mention: false,
            last: Vec::new(),
        }];
        while let Some(mut node) = stack.pop() {
            node.is_mention = !described.insert(std::ptr::from_ref(node.session));
            let last = node.last.clone();
            if !node.is_mention {
                let below: Vec<_> = self.below(node.session).collect();
                for (nth, edge) in below.into_iter().rev().enumerate() {
                    let mut last = last.clone();
                    last.push(nth == 0);
                    stack.push(Node {
                        session: edge.waiter,
                        edge: Some(edge),
                        is_mention: false,
                        last,
                    });
                }
            }
            nodes.push(node);
        }
    }

    /// Who is to be drawn below a session: who waits for a lock that it holds, or, where nobody holds it whom we know, is
    /// queued behind it.
    fn below(&self, session: &'t WaitSession) -> impl Iterator<Item = WaitEdge<'t>> {
        let graph = self.graph;
        let is_it = move |edge: &WaitEdge<'t>| std::ptr::eq(edge.blocker, session);
        graph.edges().filter(is_it).filter(move |edge| {
            edge.hard
                || !graph
                    .edges()
                    .any(|other| other.hard && std::ptr::eq(other.waiter, edge.waiter))
        })
    }

    fn text(&self, width: Option<usize>) -> String {
        let mut out = String::new();
        for cycle in self.graph.cycles() {
            let pids: Vec<_> = cycle
                .iter()
                .map(|session| session.activity.pid.to_string())
                .collect();
            let _ = writeln!(out, "deadlock: {} wait for each other", pids.join(", "));
        }
        for node in self.nodes() {
            let (first, rest) = indents(&node.last);
            let line = cut_to(&self.line(&node), width, first.chars().count());
            let painted = match node.edge {
                Some(_) => style::painted(&line, style::WAITS),
                None if idles(node.session) => style::painted(&line, style::IDLES),
                None => line,
            };
            let _ = writeln!(out, "{first}{painted}");
            let statement = node.session.activity.query.as_deref().map(text::statement);
            if let Some(statement) =
                statement.filter(|statement| !statement.is_empty() && !node.is_mention)
            {
                let has_more = self.below(node.session).next().is_some();
                let trunk = if has_more {
                    format!("{rest}│    ")
                } else {
                    format!("{rest}     ")
                };
                let statement = cut_to(&statement, width, trunk.chars().count());
                let _ = writeln!(out, "{trunk}{}", style::painted(&statement, style::DIM));
            }
        }
        out
    }

    fn line(&self, node: &Node<'_>) -> String {
        let who = who(node.session);
        if node.is_mention {
            return format!("{} (see above)", short(node.session));
        }
        match node.edge {
            Some(edge) => format!("{who}  {}", self.waits(edge)),
            None => match crate::show::attribute::does(&node.session.activity) {
                Some(does) => format!("{who}  {does}"),
                None => who,
            },
        }
    }

    fn waits(&self, edge: WaitEdge<'_>) -> String {
        let how = if edge.hard {
            "waits"
        } else {
            "queued behind it"
        };
        let lasts = edge
            .lock
            .wait_duration
            .map(|wait| format!(" {}", text::duration(wait)));
        let what = text::one_line(&what(edge.lock, self.naming));
        format!(
            "{how}{} for {} on {what}",
            lasts.unwrap_or_default(),
            edge.lock.mode
        )
    }

    /// How many wait, and what to type.
    fn summary(&self) -> String {
        let waiting = self
            .graph
            .sessions()
            .iter()
            .filter(|session| self.waits_for_any(session))
            .count();
        let roots = self.graph.roots();
        let mut said = match waiting {
            1 => "1 waits".to_owned(),
            more => format!("{more} wait"),
        };
        match &roots[..] {
            [] => said += "; the server ends a deadlock by itself, after deadlock_timeout",
            [root] => {
                let _ = write!(said, ", 1 is at the root. To end it:  {}", remedy(root));
            }
            [root, ..] => {
                let _ = write!(
                    said,
                    ", {} are at roots. To end the first:  {}",
                    roots.len(),
                    remedy(root)
                );
            }
        }
        said
    }

    fn waits_for_any(&self, session: &WaitSession) -> bool {
        self.graph
            .edges()
            .any(|edge| std::ptr::eq(edge.waiter, session))
    }

    fn json(&self, server: &Server) -> Value {
        let index = |session: &WaitSession| {
            self.graph
                .sessions()
                .iter()
                .position(|other| std::ptr::eq(other, session))
        };
        let sessions: Vec<_> = self
            .graph
            .sessions()
            .iter()
            .map(|session| {
                json!({
                    "activity": json::activity(&session.activity),
                    "prepared": session.prepared.as_ref().map(|prepared| json!({ "gid": prepared.gid, "owner": prepared.owner, "since": json::times(prepared.since) })),
                })
            })
            .collect();
        let edges: Vec<_> = self
            .graph
            .edges()
            .map(|edge| {
                json!({
                    "waiter": index(edge.waiter), "blocker": index(edge.blocker), "hard": edge.hard,
                    "mode": edge.lock.mode.as_str(), "lock": what(edge.lock, self.naming),
                    "wait_seconds": json::seconds(edge.lock.wait_duration),
                })
            })
            .collect();
        let indices =
            |sessions: Vec<&WaitSession>| sessions.into_iter().map(index).collect::<Vec<_>>();
        let cycles: Vec<_> = self.graph.cycles().into_iter().map(indices).collect();
        json!({
            "schema": "pglock/graph/1",
            "server": server.json(),
            "sessions": sessions,
            "edges": edges,
            "roots": indices(self.graph.roots()),
            "cycles": cycles,
        })
    }
}

fn idles(session: &WaitSession) -> bool {
    matches!(
        session.activity.state,
        Some(State::IdleInTransaction | State::IdleInTransactionAborted)
    )
}

/// What is before the first line of a place, and before the others.
fn indents(last: &[bool]) -> (String, String) {
    let mut rest = String::new();
    let mut first = String::new();
    for (nth, is_last) in last.iter().enumerate() {
        if nth + 1 == last.len() {
            first = format!("{rest}{}", if *is_last { "└─ " } else { "├─ " });
        }
        rest += if *is_last { "   " } else { "│  " };
    }
    (first, rest)
}

fn cut_to(line: &str, width: Option<usize>, taken: usize) -> String {
    match width {
        Some(width) => text::cut(line, width.saturating_sub(taken).max(20)),
        None => line.to_owned(),
    }
}

fn short(session: &WaitSession) -> String {
    match &session.prepared {
        Some(prepared) => match &prepared.gid {
            Some(gid) => format!("prepared transaction \"{}\"", text::one_line(gid)),
            None => "a prepared transaction".to_owned(),
        },
        None => session.activity.pid.to_string(),
    }
}

fn who(session: &WaitSession) -> String {
    let activity = &session.activity;
    let shown = |text: &Option<String>| {
        text.as_deref()
            .map(text::one_line)
            .filter(|text| !text.is_empty())
    };
    let mut who = short(session);
    if let Some(name) = shown(&activity.application_name) {
        let _ = write!(who, " {name}");
    }
    let owner = session
        .prepared
        .as_ref()
        .and_then(|prepared| shown(&prepared.owner));
    match (shown(&activity.user).or(owner), activity.client_addr) {
        (Some(user), Some(address)) => {
            let _ = write!(who, " ({user}@{address})");
        }
        (Some(user), None) => {
            let _ = write!(who, " ({user})");
        }
        (None, _) => {}
    }
    who
}

fn remedy(root: &WaitSession) -> String {
    match &root.prepared {
        Some(prepared) => match &prepared.gid {
            Some(gid) => format!(
                "ROLLBACK PREPARED '{}'",
                text::one_line(gid).replace('\'', "''")
            ),
            None => "ROLLBACK PREPARED, with its name from pg_prepared_xacts".to_owned(),
        },
        None => format!("pglock terminate {}", root.activity.pid),
    }
}
