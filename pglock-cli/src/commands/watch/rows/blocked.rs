//! Who waits for whom, as a tree.

use std::time::Duration;

use pglock::{WaitEdge, WaitGraph};

use super::{Row, RowId, SessionId, Sheet, called, columns, largest, state_of};
use crate::show::attribute::{Naming, what};
use crate::show::style;
use crate::show::table::Cell;
use crate::show::tree::{Node, Tree, indents, short};
use crate::text;

pub(in super::super) fn sheet(graph: &WaitGraph, naming: Naming<'_>) -> Sheet {
    let tree = Tree::new(graph, naming);
    let nodes = tree.nodes();
    let widths = Widths::of(graph);
    let mut rows = Vec::new();
    let whole_trees = nodes.chunk_by(|_, next| next.edge.is_some());
    for (group, nodes) in whole_trees.enumerate() {
        let lasts = |node: &Node<'_>| node.edge.and_then(|edge| edge.lock.wait_duration);
        let longest = nodes.iter().filter_map(lasts).max().unwrap_or_default();
        let keys = vec![largest(longest.as_micros()), largest(nodes.len() as u128)];
        rows.extend(nodes.iter().map(|node| {
            Row {
                id: RowId {
                    session: Some(SessionId::of(&node.session.activity)),
                    what: node
                        .edge
                        .map(|edge| short(edge.blocker))
                        .unwrap_or_default(),
                },
                cells: cells(node, &widths, naming),
                group,
                keys: keys.clone(),
                about: [tree.line(node), statement(node)],
            }
        }));
    }
    Sheet {
        columns: columns(&[("SESSION", 2), ("DOES", 1), ("STATEMENT", 4)]),
        rows,
        summary: summary(&tree),
        nothing: "nobody waits for a lock",
        orders: &["longest wait", "most sessions"],
    }
}

/// What the parts of a wait take, so that they stand below each other.
struct Widths {
    lasts: usize,
    mode: usize,
}

impl Widths {
    fn of(graph: &WaitGraph) -> Self {
        let most = |width: fn(WaitEdge<'_>) -> usize| graph.edges().map(width).max().unwrap_or(0);
        Self {
            lasts: most(|edge| text::width(&lasts(edge))),
            mode: most(|edge| edge.lock.mode.as_str().len()),
        }
    }
}

fn lasts(edge: WaitEdge<'_>) -> String {
    let lasts = edge.lock.wait_duration;
    lasts.map(text::duration).unwrap_or_default()
}

fn cells(node: &Node<'_>, widths: &Widths, naming: Naming<'_>) -> Vec<Cell> {
    let session = node.session;
    let who = match (&session.prepared, node.is_mention) {
        (_, true) => format!("{} (see above)", short(session)),
        (Some(_), false) => short(session),
        (None, false) => called(&session.activity),
    };
    let (first, _) = indents(&node.last);
    let doing = match node.edge {
        Some(edge) => {
            let how = if edge.hard { "waits" } else { "queued" };
            let doing = format!(
                "{how:<6} {lasts:>lasting$}  {mode:<wide$}  {what}",
                lasts = lasts(edge),
                lasting = widths.lasts,
                mode = edge.lock.mode.as_str(),
                wide = widths.mode,
                what = text::one_line(&what(edge.lock, naming)),
            );
            Cell::styled(doing, style::WAITS)
        }
        None => state_of(&session.activity),
    };
    vec![
        Cell::plain(format!("{first}{who}")),
        doing,
        Cell::styled(statement(node), style::DIM),
    ]
}

fn statement(node: &Node<'_>) -> String {
    let query = node.session.activity.query.as_deref();
    match query.filter(|_| !node.is_mention) {
        Some(query) => text::statement(query),
        None => String::new(),
    }
}

fn summary(tree: &Tree<'_>) -> String {
    let waits = tree
        .graph
        .edges()
        .filter_map(|edge| edge.lock.wait_duration);
    let longest: Option<Duration> = waits.max();
    let waiting = match tree.waiting() {
        1 => "1 waits".to_owned(),
        more => format!("{more} wait"),
    };
    let mut said = vec![waiting];
    match tree.graph.roots().len() {
        0 => {}
        1 => said.push("1 root".to_owned()),
        more => said.push(format!("{more} roots")),
    }
    said.extend(longest.map(|longest| format!("longest {}", text::duration(longest))));
    for cycle in tree.graph.cycles() {
        let pids: Vec<_> = cycle.into_iter().map(short).collect();
        said.push(format!("deadlock of {}", pids.join(", ")));
    }
    said.join(" · ")
}
