//! Circles in a graph.

use std::collections::VecDeque;

/// For each group of nodes that all reach each other, a shortest circle in it, as the edges that it goes along. An edge
/// leads from its first node to its second.
pub(crate) fn circles(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let reached: Vec<Vec<bool>> = (0..nodes).map(|node| reached(nodes, edges, node)).collect();
    let mut is_seen = vec![false; nodes];
    let mut circles = Vec::new();
    for node in 0..nodes {
        if !is_seen[node] && reached[node][node] {
            let group: Vec<usize> = (node..nodes)
                .filter(|&other| reached[node][other] && reached[other][node])
                .collect();
            for &member in &group {
                is_seen[member] = true;
            }
            let shortest = group
                .iter()
                .filter_map(|&member| circle(nodes, edges, member));
            circles.extend(shortest.min_by_key(Vec::len));
        }
    }
    circles
}

/// Which nodes edges lead to from `start`, directly or through others.
fn reached(nodes: usize, edges: &[(usize, usize)], start: usize) -> Vec<bool> {
    let mut reached = vec![false; nodes];
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for &(from, to) in edges {
            if from == node && !reached[to] {
                reached[to] = true;
                open.push(to);
            }
        }
    }
    reached
}

/// A shortest way from `start` back to it.
fn circle(nodes: usize, edges: &[(usize, usize)], start: usize) -> Option<Vec<usize>> {
    let mut came_by: Vec<Option<usize>> = vec![None; nodes];
    let mut open = VecDeque::from([start]);
    while let Some(node) = open.pop_front() {
        for (edge, &(from, to)) in edges.iter().enumerate() {
            if from == node && came_by[to].is_none() {
                came_by[to] = Some(edge);
                open.push_back(to);
            }
        }
    }
    let mut way = vec![came_by[start]?];
    while edges[way[way.len() - 1]].0 != start {
        way.push(came_by[edges[way[way.len() - 1]].0]?);
    }
    way.reverse();
    Some(way)
}
