//! The tree as a picture: roots at the left, who waits for them to their right.

use std::fmt::Write as _;

use crate::show::attribute::{does, idles};
use crate::show::tree::{Node, Tree, who};
use crate::text;

const WIDE: usize = 380;
const HIGH: usize = 58;
const GAP: (usize, usize) = (70, 16);
const EDGE: usize = 16;
/// How large the text of the lines of a box is, and how many characters of each fit in.
const LINES: [(usize, usize); 3] = [(13, 46), (10, 60), (10, 60)];

/// Text stays text, and colours follow whether the page is light or dark.
const STYLE: &str = "\
    svg{background:#fff;color:#1f2328;font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\
    .box{fill:#f6f8fa;stroke:#8c959f}.waits{stroke:#cf222e}.idles{stroke:#bf8700;stroke-width:2}\
    text{fill:currentColor}.dim{fill:#59636e}path{fill:none;stroke:#59636e}.soft{stroke-dasharray:5 4}\
    @media(prefers-color-scheme:dark){svg{background:#0d1117;color:#f0f6fc}.box{fill:#151b23;stroke:#656c76}\
    .waits{stroke:#f85149}.idles{stroke:#d29922}.dim{fill:#9198a1}path{stroke:#9198a1}}";

struct Placed<'n, 't> {
    node: &'n Node<'t>,
    x: usize,
    y: usize,
}

pub(super) fn svg(tree: &Tree<'_>) -> String {
    let nodes = tree.nodes();
    let boxes: Vec<&Node<'_>> = nodes.iter().filter(|node| !node.is_mention).collect();
    let placed = place(&boxes);
    let deepest = boxes.iter().map(|node| node.last.len()).max().unwrap_or(0);
    let width = 2 * EDGE + (deepest + 1) * (WIDE + GAP.0) - GAP.0;
    let height = 2 * EDGE + boxes.len().max(1) * (HIGH + GAP.1) - GAP.1;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\"><title>Who waits for whom</title><style>{STYLE}</style>\n"
    );
    if boxes.is_empty() {
        let _ = writeln!(
            out,
            "<text x=\"{EDGE}\" y=\"{}\">nobody waits for a lock</text>",
            EDGE + 30
        );
    }
    for edge in tree.graph.edges() {
        let at = |session| {
            placed
                .iter()
                .find(|placed| std::ptr::eq(placed.node.session, session))
        };
        if let (Some(waiter), Some(blocker)) = (at(edge.waiter), at(edge.blocker)) {
            out += &line(blocker, waiter, edge.hard);
        }
    }
    for placed in &placed {
        out += &boxed(tree, placed);
    }
    out + "</svg>\n"
}

/// A row for each, in the order of the tree; a column for each step from the root.
fn place<'n, 't>(boxes: &[&'n Node<'t>]) -> Vec<Placed<'n, 't>> {
    let placed = |(row, node): (usize, &&'n Node<'t>)| Placed {
        node,
        x: EDGE + node.last.len() * (WIDE + GAP.0),
        y: EDGE + row * (HIGH + GAP.1),
    };
    boxes.iter().enumerate().map(placed).collect()
}

/// From the side of the one to the side of the other; to one that is not further right, around.
fn line(from: &Placed<'_, '_>, to: &Placed<'_, '_>, hard: bool) -> String {
    let (x1, y1) = (from.x + WIDE, from.y + HIGH / 2);
    let (x2, y2) = (to.x, to.y + HIGH / 2);
    let soft = if hard { "" } else { " class=\"soft\"" };
    let bend = if x2 > x1 { (x2 - x1) / 2 } else { GAP.0 };
    format!(
        "<path{soft} d=\"M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}\"/><path d=\"M{} {} L{x2} {y2} L{} {}\"/>\n",
        x1 + bend,
        x2.saturating_sub(bend),
        x2.saturating_sub(7),
        y2 - 4,
        x2.saturating_sub(7),
        y2 + 4
    )
}

fn boxed(tree: &Tree<'_>, placed: &Placed<'_, '_>) -> String {
    let session = placed.node.session;
    let class = if placed.node.edge.is_some() {
        "box waits"
    } else if idles(&session.activity) {
        "box idles"
    } else {
        "box"
    };
    let does = match placed.node.edge {
        Some(edge) => tree.waits(edge),
        None => does(&session.activity).unwrap_or_default(),
    };
    let statement = session
        .activity
        .query
        .as_deref()
        .map(text::statement)
        .unwrap_or_default();
    let (x, y) = (placed.x, placed.y);
    let mut out = format!(
        "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{WIDE}\" height=\"{HIGH}\" rx=\"6\"/>"
    );
    let whole = format!("{}\n{does}\n{statement}", who(session));
    let _ = write!(out, "<g><title>{}</title>", escaped(&whole));
    for (nth, (line, class)) in [
        (who(session), ""),
        (does, ""),
        (statement, " class=\"dim\""),
    ]
    .into_iter()
    .enumerate()
    {
        let (size, most) = LINES[nth];
        let line = escaped(&text::cut(&line, most));
        let _ = write!(
            out,
            "<text{class} x=\"{}\" y=\"{}\" font-size=\"{size}\">{line}</text>",
            x + 8,
            y + 17 + nth * 17,
        );
    }
    out + "</g>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
