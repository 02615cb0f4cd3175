//! Algorithms on the graph: its connected components and its cycles. Pure.

/// For each node, the nodes that its edges lead to.
#[derive(Debug)]
pub(super) struct Adjacency(Vec<Vec<usize>>);

impl Adjacency {
    pub(super) fn new(nodes: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut adjacency = vec![Vec::new(); nodes];
        for (from, to) in edges {
            adjacency[from].push(to);
        }
        Self(adjacency)
    }
}

/// For each node, the number of its component. Edges connect their ends whatever their direction.
pub(super) fn components(
    nodes: usize,
    edges: impl Iterator<Item = (usize, usize)> + Clone,
) -> Vec<usize> {
    let back = edges.clone().map(|(from, to)| (to, from));
    let adjacency = Adjacency::new(nodes, edges.chain(back));
    let mut component = vec![usize::MAX; nodes];
    for start in 0..nodes {
        let mut reached = vec![start];
        while let Some(node) = reached.pop() {
            if component[node] == usize::MAX {
                component[node] = start;
                reached.extend(&adjacency.0[node]);
            }
        }
    }
    component
}

/// The strongly connected components, by Tarjan's algorithm: each node of a component can be reached from every other.
///
/// A component comes after those that its edges lead to. Within one, the nodes are in the order of a walk along the
/// edges. The search keeps its own stack, since a wait queue can be longer than a thread's stack is deep.
pub(super) fn strongly_connected(adjacency: &Adjacency) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let nodes = adjacency.0.len();
    let (mut order, mut low) = (vec![UNSEEN; nodes], vec![UNSEEN; nodes]);
    let mut open = Vec::new();
    let mut is_open = vec![false; nodes];
    let mut components = Vec::new();
    let mut seen = 0;
    for start in 0..nodes {
        if order[start] != UNSEEN {
            continue;
        }
        // A node, and how many of its edges were followed.
        let mut walk = vec![(start, 0)];
        while let Some((node, followed)) = walk.last_mut() {
            let node = *node;
            if *followed == 0 && order[node] == UNSEEN {
                (order[node], low[node]) = (seen, seen);
                seen += 1;
                open.push(node);
                is_open[node] = true;
            }
            if let Some(&next) = adjacency.0[node].get(*followed) {
                *followed += 1;
                if order[next] == UNSEEN {
                    walk.push((next, 0));
                } else if is_open[next] {
                    low[node] = low[node].min(order[next]);
                }
                continue;
            }
            walk.pop();
            if let Some((before, _)) = walk.last() {
                low[*before] = low[*before].min(low[node]);
            }
            if low[node] == order[node] {
                let first = open.iter().rposition(|&other| other == node).unwrap_or(0);
                let component = open.split_off(first);
                for &member in &component {
                    is_open[member] = false;
                }
                components.push(component);
            }
        }
    }
    components
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::strategy;
    use super::*;

    /// Which node can be reached from which, by one edge or more: tries all paths.
    fn reachable(nodes: usize, edges: &[(usize, usize)]) -> Vec<Vec<bool>> {
        let mut reach = vec![vec![false; nodes]; nodes];
        for &(from, to) in edges {
            reach[from][to] = true;
        }
        for by in 0..nodes {
            for from in 0..nodes {
                for to in 0..nodes {
                    reach[from][to] |= reach[from][by] && reach[by][to];
                }
            }
        }
        reach
    }

    proptest! {
        #[test]
        fn components_are_those_that_reach_each_other((nodes, edges) in strategy::edges()) {
            let edges: Vec<_> = edges.iter().map(|edge| (edge.0, edge.1)).collect();
            let components = strongly_connected(&Adjacency::new(nodes, edges.clone()));
            let mut number = vec![None; nodes];
            for (nth, component) in components.iter().enumerate() {
                for &node in component {
                    prop_assert_eq!(number[node].replace(nth), None, "twice");
                }
            }
            prop_assert!(!number.contains(&None));
            let reach = reachable(nodes, &edges);
            for one in 0..nodes {
                for other in 0..nodes {
                    let together = one == other || reach[one][other] && reach[other][one];
                    prop_assert_eq!(number[one] == number[other], together);
                    if reach[one][other] && !together {
                        prop_assert!(number[one] > number[other], "a component that edges lead to comes first");
                    }
                }
            }
        }

        #[test]
        fn components_are_the_nodes_that_edges_connect((nodes, edges) in strategy::edges()) {
            let edges: Vec<_> = edges.iter().map(|edge| (edge.0, edge.1)).collect();
            let component = components(nodes, edges.iter().copied());
            let both: Vec<_> = edges.iter().flat_map(|&(from, to)| [(from, to), (to, from)]).collect();
            let reach = reachable(nodes, &both);
            for one in 0..nodes {
                for other in 0..nodes {
                    prop_assert_eq!(component[one] == component[other], one == other || reach[one][other]);
                }
            }
        }
    }

    #[test]
    fn a_queue_may_be_longer_than_a_stack_is_deep() {
        let nodes = 200_000;
        let chain = (1..nodes).map(|node| (node - 1, node));
        let components = strongly_connected(&Adjacency::new(nodes, chain.clone()));
        assert_eq!(components.len(), nodes);
        let cycle = chain.chain([(nodes - 1, 0)]);
        let components = strongly_connected(&Adjacency::new(nodes, cycle));
        assert_eq!(components, [(0..nodes).collect::<Vec<_>>()]);
    }
}
