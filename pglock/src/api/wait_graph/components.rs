//! What is asked of the graph as such: its parts, and its rings. Pure.

/// For each place, the places that an edge leads to.
#[derive(Debug)]
pub(super) struct Adjacency(Vec<Vec<usize>>);

impl Adjacency {
    pub(super) fn new(places: usize, edges: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut of = vec![Vec::new(); places];
        for (from, to) in edges {
            of[from].push(to);
        }
        Self(of)
    }
}

/// For each place the number of the part that it is in: what edges connect, in either direction, is one part.
pub(super) fn components(
    places: usize,
    edges: impl Iterator<Item = (usize, usize)> + Clone,
) -> Vec<usize> {
    let back = edges.clone().map(|(from, to)| (to, from));
    let neighbours = Adjacency::new(places, edges.chain(back));
    let mut part = vec![usize::MAX; places];
    for start in 0..places {
        let mut reached = vec![start];
        while let Some(place) = reached.pop() {
            if part[place] == usize::MAX {
                part[place] = start;
                reached.extend(&neighbours.0[place]);
            }
        }
    }
    part
}

/// The strongly connected components, by Tarjan's algorithm: from each place of one, edges lead to all others of it.
///
/// A component comes after those that edges lead to from it. Within one, the places are in the order of a walk along the
/// edges. The stack of the search is a vector, since a queue may be longer than a thread's stack is deep.
pub(super) fn strongly_connected(neighbours: &Adjacency) -> Vec<Vec<usize>> {
    const UNSEEN: usize = usize::MAX;
    let places = neighbours.0.len();
    let (mut order, mut low) = (vec![UNSEEN; places], vec![UNSEEN; places]);
    let mut open = Vec::new();
    let mut is_open = vec![false; places];
    let mut components = Vec::new();
    let mut seen = 0;
    for start in 0..places {
        if order[start] != UNSEEN {
            continue;
        }
        // A place, and how many of its edges were followed.
        let mut walk = vec![(start, 0)];
        while let Some((place, followed)) = walk.last_mut() {
            let place = *place;
            if *followed == 0 && order[place] == UNSEEN {
                (order[place], low[place]) = (seen, seen);
                seen += 1;
                open.push(place);
                is_open[place] = true;
            }
            if let Some(&next) = neighbours.0[place].get(*followed) {
                *followed += 1;
                if order[next] == UNSEEN {
                    walk.push((next, 0));
                } else if is_open[next] {
                    low[place] = low[place].min(order[next]);
                }
                continue;
            }
            walk.pop();
            if let Some((before, _)) = walk.last() {
                low[*before] = low[*before].min(low[place]);
            }
            if low[place] == order[place] {
                let first = open.iter().rposition(|&other| other == place).unwrap_or(0);
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

    /// From where one comes to where, by one edge or more: by trying all ways.
    fn reachable(places: usize, edges: &[(usize, usize)]) -> Vec<Vec<bool>> {
        let mut reach = vec![vec![false; places]; places];
        for &(from, to) in edges {
            reach[from][to] = true;
        }
        for by in 0..places {
            for from in 0..places {
                for to in 0..places {
                    reach[from][to] |= reach[from][by] && reach[by][to];
                }
            }
        }
        reach
    }

    proptest! {
        #[test]
        fn components_are_those_that_reach_each_other((places, edges) in strategy::edges()) {
            let edges: Vec<_> = edges.iter().map(|edge| (edge.0, edge.1)).collect();
            let components = strongly_connected(&Adjacency::new(places, edges.clone()));
            let mut number = vec![None; places];
            for (nth, component) in components.iter().enumerate() {
                for &place in component {
                    prop_assert_eq!(number[place].replace(nth), None, "twice");
                }
            }
            prop_assert!(!number.contains(&None));
            let reach = reachable(places, &edges);
            for one in 0..places {
                for other in 0..places {
                    let together = one == other || reach[one][other] && reach[other][one];
                    prop_assert_eq!(number[one] == number[other], together);
                    if reach[one][other] && !together {
                        prop_assert!(number[one] > number[other], "what is led to comes first");
                    }
                }
            }
        }

        #[test]
        fn parts_are_what_hangs_together((places, edges) in strategy::edges()) {
            let edges: Vec<_> = edges.iter().map(|edge| (edge.0, edge.1)).collect();
            let part = components(places, edges.iter().copied());
            let both: Vec<_> = edges.iter().flat_map(|&(from, to)| [(from, to), (to, from)]).collect();
            let reach = reachable(places, &both);
            for one in 0..places {
                for other in 0..places {
                    prop_assert_eq!(part[one] == part[other], one == other || reach[one][other]);
                }
            }
        }
    }

    #[test]
    fn a_queue_may_be_longer_than_a_stack_is_deep() {
        let places = 200_000;
        let chain = (1..places).map(|place| (place - 1, place));
        let components = strongly_connected(&Adjacency::new(places, chain.clone()));
        assert_eq!(components.len(), places);
        let ring = chain.chain([(places - 1, 0)]);
        let components = strongly_connected(&Adjacency::new(places, ring));
        assert_eq!(components, [(0..places).collect::<Vec<_>>()]);
    }
}
