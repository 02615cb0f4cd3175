//! The graph as a tree of text: below each session are those that it blocks. Pure.
//!
//! Each session is described once, where the tree reaches it first, and only mentioned elsewhere, so that the text
//! grows with the number of sessions and not of paths.

use std::fmt::{self, Write as _};

use super::model::{WaitEdge, WaitGraph};
use super::text;
use crate::error::humanize;
use crate::view;

/// How many sessions a mention names.
const MOST_MENTIONED: usize = 8;

impl fmt::Display for WaitGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = Tree::of(self);
        let cycles = self.cycle_nodes();
        for cycle in &cycles {
            tree.lines.push(format!(
                "deadlock: {} wait for each other",
                tree.names(cycle)
            ));
        }
        for root in self.root_nodes() {
            tree.grow(root);
        }
        // Sessions that no root leads to are in a cycle, or wait for one.
        for node in cycles.concat() {
            tree.grow(node);
        }
        if tree.lines.is_empty() {
            return f.write_str("nobody waits for a lock");
        }
        f.write_str(&tree.lines.join("\n"))
    }
}

struct Tree<'g> {
    graph: &'g WaitGraph,
    /// For each node, the indices of the edges to it.
    waiters: Vec<Vec<usize>>,
    /// Whether a holder of the lock blocks the session, and not only a session ahead of it in the queue.
    blocked_hard: Vec<bool>,
    described: Vec<bool>,
    lines: Vec<String>,
}

/// A line below a session.
enum Item {
    Session { node: usize, edge: usize },
    Mention(String),
}

impl<'g> Tree<'g> {
    fn of(graph: &'g WaitGraph) -> Self {
        let nodes = graph.sessions.len();
        let mut tree = Self {
            graph,
            waiters: vec![Vec::new(); nodes],
            blocked_hard: vec![false; nodes],
            described: vec![false; nodes],
            lines: Vec::new(),
        };
        for (nth, edge) in graph.edges.iter().enumerate() {
            tree.waiters[edge.blocker].push(nth);
            tree.blocked_hard[edge.waiter] |= edge.hard;
        }
        tree
    }

    /// Writes the session and all that wait for it, unless it is written already.
    fn grow(&mut self, start: usize) {
        if std::mem::replace(&mut self.described[start], true) {
            return;
        }
        let wait = self.graph.edges.iter().find(|edge| edge.waiter == start);
        let wait = wait.map(|edge| self.graph.edge(edge));
        self.lines.push(self.describe(start, wait, false));
        // Without recursion: a queue can be longer than the stack of a thread is deep.
        let mut items = Vec::new();
        self.below(start, "", &mut items);
        while let Some((item, indent, last)) = items.pop() {
            let (branch, trunk) = if last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            match item {
                Item::Mention(text) => self.lines.push(format!("{indent}{branch}{text}")),
                Item::Session { node, edge } => {
                    let edge = self.graph.edge(&self.graph.edges[edge]);
                    let text = self.describe(node, Some(edge), true);
                    self.lines.push(format!("{indent}{branch}{text}"));
                    self.below(node, &format!("{indent}{trunk}"), &mut items);
                }
            }
        }
    }

    /// Pushes what is to be written below a session, the last first.
    fn below(&mut self, node: usize, indent: &str, items: &mut Vec<(Item, String, bool)>) {
        let mut found = Vec::new();
        let (mut also_blocks, mut also_ahead_of) = (Vec::new(), Vec::new());
        for &nth in &self.waiters[node] {
            let edge = &self.graph.edges[nth];
            // A session belongs below a holder of the lock that it waits for, if there is one.
            let belongs_here = edge.hard || !self.blocked_hard[edge.waiter];
            if belongs_here && !std::mem::replace(&mut self.described[edge.waiter], true) {
                found.push(Item::Session {
                    node: edge.waiter,
                    edge: nth,
                });
            } else if edge.hard {
                also_blocks.push(edge.waiter);
            } else {
                also_ahead_of.push(edge.waiter);
            }
        }
        for (words, mentioned) in [
            ("also blocks", also_blocks),
            ("also ahead of", also_ahead_of),
        ] {
            if !mentioned.is_empty() {
                found.push(Item::Mention(format!("{words} {}", self.names(&mentioned))));
            }
        }
        for (nth, item) in found.into_iter().rev().enumerate() {
            items.push((item, indent.to_owned(), nth == 0));
        }
    }

    fn describe(&self, node: usize, wait: Option<WaitEdge<'_>>, below: bool) -> String {
        let session = &self.graph.sessions[node];
        let mut line = text::session(session);
        if let Some(edge) = wait {
            line += if edge.hard || !below {
                " waits"
            } else {
                " is queued behind it"
            };
            if let Some(since) = edge.lock.wait_duration {
                let _ = write!(line, " {}", humanize::duration(since));
            }
            let _ = write!(line, " for {}", view::text::lock(edge.lock));
        } else if let Some(doing) = view::text::doing(&session.activity) {
            let _ = write!(line, ", {doing}");
        }
        if let Some(statement) = view::text::statement(&session.activity) {
            let _ = write!(line, ": {statement}");
        }
        line
    }

    fn names(&self, nodes: &[usize]) -> String {
        let sessions = nodes.iter().map(|&node| &self.graph.sessions[node]);
        let names: Vec<String> = sessions.take(MOST_MENTIONED).map(text::short).collect();
        match nodes.len() - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{graph, strategy};

    fn lines(sessions: usize, edges: &[(usize, usize, bool)]) -> Vec<String> {
        let tree = graph(sessions, edges).to_string();
        let short = |line: &str| line.replace(" 1.5 s for EXCLUSIVE on an advisory lock", "");
        tree.lines().map(short).collect()
    }

    #[test]
    fn sessions_are_below_a_holder_before_sessions_in_the_queue() {
        let queue = [(1, 0, true), (2, 0, true), (2, 1, false), (3, 2, false)];
        assert_eq!(
            lines(4, &queue),
            [
                "pid 1000",
                "├─ pid 1001 waits",
                "│  └─ also ahead of 1002",
                "└─ pid 1002 waits",
                "   └─ pid 1003 is queued behind it",
            ]
        );
        // Also if the session ahead in the queue is reached first.
        let later = [(1, 0, true), (2, 1, false), (2, 3, true), (3, 0, true)];
        assert_eq!(
            lines(4, &later),
            [
                "pid 1000",
                "├─ pid 1001 waits",
                "│  └─ also ahead of 1002",
                "└─ pid 1003 waits",
                "   └─ pid 1002 waits",
            ]
        );
    }

    #[test]
    fn cycles_end() {
        let cycle_and_tail = [(0, 1, true), (1, 0, true), (2, 1, true)];
        assert_eq!(
            lines(3, &cycle_and_tail),
            [
                "deadlock: 1000, 1001 wait for each other",
                "pid 1000 waits",
                "└─ pid 1001 waits",
                "   ├─ pid 1002 waits",
                "   └─ also blocks 1000",
            ]
        );
    }

    #[test]
    fn of_many_that_were_described_a_few_are_mentioned() {
        let two_for_all: Vec<_> = (2..14)
            .flat_map(|at| [(at, 0, true), (at, 1, true)])
            .collect();
        let lines = lines(14, &two_for_all);
        assert_eq!(lines.len(), 15);
        let mentioned = "1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009 and 4 more";
        assert_eq!(lines[14], format!("└─ also blocks {mentioned}"));
    }

    proptest! {
        #[test]
        fn each_session_is_described_once_however_they_are_tangled((sessions, edges) in strategy::edges()) {
            let lines = lines(sessions, &edges);
            for node in 0..sessions {
                let described = lines.iter().filter(|line| {
                    line.contains(&format!("pid {}", 1000 + node))
                });
                let waits_or_blocks = edges.iter().any(|edge| edge.0 == node || edge.1 == node);
                prop_assert_eq!(described.count(), usize::from(waits_or_blocks));
            }
            // One line for each session, two for its mentions, and one for each deadlock.
            prop_assert!(lines.len() <= 3 * sessions + sessions / 2);
        }
    }
}
