//! The graph in the language of Graphviz. Pure.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::model::WaitGraph;
use super::text;
use crate::error::humanize;
use crate::view;

impl WaitGraph {
    /// The graph in [DOT](https://graphviz.org/doc/info/lang.html), for Graphviz to draw: `dot -Tsvg`.
    ///
    /// Arrows lead from the waiter to the blocker; they are dashed if the blocker is only ahead in the queue. Roots
    /// have a double border, deadlocks are red.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let cycle = self.cycle_of_nodes();
        let mut dot = String::from("digraph wait_graph {\n  node [shape=box];\n");
        let roots: HashSet<usize> = self.root_nodes().into_iter().collect();
        for (node, session) in self.sessions.iter().enumerate() {
            let lines = [
                Some(text::session(session)),
                view::text::doing(&session.activity),
                view::text::statement(&session.activity),
            ];
            let mut style = String::new();
            if roots.contains(&node) {
                style += " peripheries=2";
            }
            if cycle[node].is_some() {
                style += " color=red";
            }
            let label = label(lines.into_iter().flatten());
            let _ = writeln!(dot, "  n{node} [label={label}{style}];");
        }
        for edge in &self.edges {
            let lock = self.edge(edge).lock;
            let since = lock.wait_duration.map(humanize::duration);
            let label = label([view::text::lock(lock)].into_iter().chain(since));
            let mut style = String::new();
            if !edge.hard {
                style += " style=dashed";
            }
            if cycle[edge.waiter].is_some() && cycle[edge.waiter] == cycle[edge.blocker] {
                style += " color=red";
            }
            let (waiter, blocker) = (edge.waiter, edge.blocker);
            let _ = writeln!(dot, "  n{waiter} -> n{blocker} [label={label}{style}];");
        }
        dot.push_str("}\n");
        dot
    }

    fn cycle_of_nodes(&self) -> Vec<Option<usize>> {
        let mut cycle_of = vec![None; self.sessions.len()];
        for (nth, cycle) in self.cycle_nodes().iter().enumerate() {
            for &node in cycle {
                cycle_of[node] = Some(nth);
            }
        }
        cycle_of
    }
}

/// Lines of text as a label.
fn label(lines: impl Iterator<Item = String>) -> String {
    let lines: Vec<String> = lines.map(|line| escaped(&line)).collect();
    format!("\"{}\"", lines.join("\\n"))
}

/// Graphviz reads a backslash as an escape, and HTML entities in every text.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{graph, session, strategy};

    #[test]
    fn roots_queues_and_deadlocks_are_marked() {
        let edges = [
            (1, 0, true),
            (2, 1, false),
            (3, 4, true),
            (4, 3, true),
            (5, 4, true),
        ];
        let label = "EXCLUSIVE on an advisory lock\\n1.5 s";
        let edge = |from, to, style| format!("  n{from} -> n{to} [label=\"{label}\"{style}];");
        let dot = graph(6, &edges).to_dot();
        let lines: Vec<&str> = dot.lines().collect();
        assert_eq!(lines[..2], ["digraph wait_graph {", "  node [shape=box];"]);
        assert_eq!(
            lines[2..8],
            [
                "  n0 [label=\"pid 1000\" peripheries=2];",
                "  n1 [label=\"pid 1001\"];",
                "  n2 [label=\"pid 1002\"];",
                "  n3 [label=\"pid 1003\" color=red];",
                "  n4 [label=\"pid 1004\" color=red];",
                "  n5 [label=\"pid 1005\"];",
            ]
        );
        let expected = [
            edge(1, 0, ""),
            edge(2, 1, " style=dashed"),
            edge(3, 4, " color=red"),
            edge(4, 3, " color=red"),
            edge(5, 4, ""),
            "}".to_owned(),
        ];
        assert_eq!(lines[8..], expected);
    }

    #[test]
    fn special_characters_of_graphviz_are_escaped() {
        let mut hostile = graph(2, &[(1, 0, true)]);
        hostile.sessions[0].activity.query = Some("a\"]; b\\N\nc\\ &lt; \u{1b}".to_owned());
        let expected = r#"n0 [label="pid 1000\na\"]; b\\N c\\ &amp;lt; �" peripheries=2];"#;
        assert!(hostile.to_dot().contains(expected), "{}", hostile.to_dot());
    }

    proptest! {
        /// Reads the output as Graphviz does: a text ends at the first quote without a backslash before it, and so on.
        #[test]
        fn texts_end_where_they_should(query in any::<String>(), name in any::<String>(), gid in any::<String>(),
                                       (sessions, edges) in strategy::edges()) {
            let mut graph = graph(sessions, &edges);
            graph.sessions[0].activity.query = Some(query);
            graph.sessions[0].activity.application_name = Some(name);
            graph.sessions[1] = session(0);
            graph.sessions[1].prepared = Some(crate::PreparedTransaction {
                gid: Some(gid),
                ..crate::PreparedTransaction::default()
            });
            let dot = graph.to_dot();
            let (mut outside, mut quoted, mut escaped) = (String::new(), false, false);
            for character in dot.chars() {
                if quoted && !escaped && character == '\\' {
                    escaped = true;
                    continue;
                }
                if character == '"' && !escaped {
                    quoted = !quoted;
                } else if !quoted {
                    outside.push(character);
                }
                if escaped {
                    prop_assert!(matches!(character, 'n' | '\\' | '"'));
                }
                escaped = false;
            }
            prop_assert!(!quoted);
            let known = "digraph wait_graph {} node [shape=box]; label= peripheries=2 color=red style=dashed -> 0123456789 \n";
            prop_assert!(outside.chars().all(|character| known.contains(character)), "{}", outside);
            prop_assert_eq!(outside.lines().count(), 3 + sessions + graph.edges.len());
        }
    }
}
