//! Who waits for whom, as a tree: in which order, and in which words.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use pglock::{LockKind, WaitEdge, WaitGraph, WaitSession};
use serde_json::{Value, json};

use super::attribute::{Naming, does, idles, what};
use super::style;
use crate::text;

/// The graph, in words.
pub(crate) struct Tree<'t> {
    pub(crate) graph: &'t WaitGraph,
    naming: Naming<'t>,
    /// Who is drawn below a session: who waits for a lock that it holds, or, where nobody holds it whom we know, is queued
    /// behind it.
    below: HashMap<*const WaitSession, Vec<WaitEdge<'t>>>,
}

/// A place in the tree: a session below the one that it waits for, or a mention of it.
pub(crate) struct Node<'t> {
    pub(crate) session: &'t WaitSession,
    pub(crate) edge: Option<WaitEdge<'t>>,
    /// The session is described elsewhere.
    pub(crate) is_mention: bool,
    /// For each step from the root, whether it is the last there.
    pub(crate) last: Vec<bool>,
}

impl<'t> Tree<'t> {
    pub(crate) fn new(graph: &'t WaitGraph, naming: Naming<'t>) -> Self {
        let hard = graph.edges().filter(|edge| edge.hard);
        let kept_by_a_holder: HashSet<_> =
            hard.map(|edge| std::ptr::from_ref(edge.waiter)).collect();
        let mut below: HashMap<_, Vec<_>> = HashMap::new();
        for edge in graph.edges() {
            if edge.hard || !kept_by_a_holder.contains(&std::ptr::from_ref(edge.waiter)) {
                let of_blocker = below.entry(std::ptr::from_ref(edge.blocker));
                of_blocker.or_default().push(edge);
            }
        }
        Self {
            graph,
            naming,
            below,
        }
    }

    /// All places, from the top.
    pub(crate) fn nodes(&self) -> Vec<Node<'t>> {
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
                for (nth, edge) in self.below(node.session).iter().rev().enumerate() {
                    let mut last = last.clone();
                    last.push(nth == 0);
                    stack.push(Node {
                        session: edge.waiter,
                        edge: Some(*edge),
                        is_mention: false,
                        last,
                    });
                }
            }
            nodes.push(node);
        }
    }

    fn below(&self, session: &WaitSession) -> &[WaitEdge<'t>] {
        let below = self.below.get(&std::ptr::from_ref(session));
        below.map_or(&[], Vec::as_slice)
    }

    pub(crate) fn text(&self, width: Option<usize>) -> String {
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
            let taken = first.chars().count();
            let mut line = self.line(&node);
            if width.is_some_and(|width| taken + text::width(&line) > width) {
                // What it waits for is worth more.
                line = self.line_of(&node, &called(node.session));
            }
            let line = cut_to(&line, width, taken);
            let painted = match node.edge {
                Some(_) => style::painted(&line, style::WAITS),
                None if idles(&node.session.activity) => style::painted(&line, style::IDLES),
                None => line,
            };
            let _ = writeln!(out, "{first}{painted}");
            let statement = node.session.activity.query.as_deref().map(text::statement);
            if let Some(statement) =
                statement.filter(|statement| !statement.is_empty() && !node.is_mention)
            {
                let has_more = !self.below(node.session).is_empty();
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

    /// Whose place it is, and what it does or waits for.
    pub(crate) fn line(&self, node: &Node<'_>) -> String {
        self.line_of(node, &who(node.session))
    }

    fn line_of(&self, node: &Node<'_>, who: &str) -> String {
        if node.is_mention {
            return format!("{} (see above)", short(node.session));
        }
        match node.edge {
            Some(edge) => format!("{who}  {}", self.waits(edge)),
            None => match does(&node.session.activity) {
                Some(does) => format!("{who}  {does}"),
                None => who.to_owned(),
            },
        }
    }

    pub(crate) fn waits(&self, edge: WaitEdge<'_>) -> String {
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

    /// How many sessions wait.
    pub(crate) fn waiting(&self) -> usize {
        let waiters = self
            .graph
            .edges()
            .map(|edge| std::ptr::from_ref(edge.waiter));
        waiters.collect::<HashSet<_>>().len()
    }

    /// How many wait, and what to type.
    pub(crate) fn summary(&self) -> String {
        let waiting = self.waiting();
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
        if let Some(trap) = self.trap() {
            let _ = write!(said, "\n{trap}");
        }
        said
    }

    /// What nobody looks for: that a statement is in the way since it waits for a lock.
    fn trap(&self) -> Option<String> {
        let waits_for_advisory = |session: &WaitSession| {
            let mut edges = self.graph.edges();
            edges.find(|edge| {
                std::ptr::eq(edge.waiter, session) && edge.lock.kind == LockKind::Advisory
            })
        };
        let is_of_snapshot = |edge: &WaitEdge<'_>| edge.lock.kind == LockKind::VirtualXid;
        let mut of_snapshots = self.graph.edges().filter(is_of_snapshot);
        let (edge, wait) =
            of_snapshots.find_map(|edge| Some((edge, waits_for_advisory(edge.blocker)?)))?;
        Some(format!(
            "{} waits for all older statements, as what is done CONCURRENTLY does, and that of {} waits for {}. To end that wait:  pglock cancel {}",
            short(edge.waiter),
            short(edge.blocker),
            text::one_line(&what(wait.lock, self.naming)),
            edge.blocker.activity.pid
        ))
    }

    /// `server` is who was asked.
    pub(crate) fn json(&self, server: &Value) -> Value {
        let mut value = json!(self.graph);
        value["schema"] = json!("pglock/graph/1");
        value["server"] = server.clone();
        for (shown, edge) in value["edges"]
            .as_array_mut()
            .into_iter()
            .flatten()
            .zip(self.graph.edges())
        {
            shown["lock"] = json!(what(edge.lock, self.naming));
        }
        value
    }
}

/// What is before the first line of a place, and before the others.
pub(crate) fn indents(last: &[bool]) -> (String, String) {
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

/// Its pid, or what it is called without one.
pub(crate) fn short(session: &WaitSession) -> String {
    match &session.prepared {
        Some(prepared) => match &prepared.gid {
            Some(gid) => format!("prepared transaction \"{}\"", text::one_line(gid)),
            None => "a prepared transaction".to_owned(),
        },
        None => session.activity.pid.to_string(),
    }
}

/// Its pid, and whose it is.
pub(crate) fn who(session: &WaitSession) -> String {
    called(session) + &whose(session)
}

/// Its pid, and its application.
fn called(session: &WaitSession) -> String {
    let short = short(session);
    match shown(session.activity.application_name.as_ref()) {
        Some(name) => format!("{short} {name}"),
        None => short,
    }
}

/// Its role, and where it is.
fn whose(session: &WaitSession) -> String {
    let activity = &session.activity;
    let owner = session
        .prepared
        .as_ref()
        .and_then(|prepared| shown(prepared.owner.as_ref()));
    match (
        shown(activity.user.as_ref()).or(owner),
        activity.client_addr,
    ) {
        (Some(user), Some(address)) => format!(" ({user}@{address})"),
        (Some(user), None) => format!(" ({user})"),
        (None, _) => String::new(),
    }
}

fn shown(text: Option<&String>) -> Option<String> {
    let text = text.map(|text| text::one_line(text));
    text.filter(|text| !text.is_empty())
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
