//! Which wait of a deadlock across processes gives up. Pure.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::sql::shared::deadlock::DeadlockEdge;

/// The lock by which the backend `waiter` is to give up: it holds up somebody that `waiter` waits for.
///
/// Of the waits in a cycle that only markers show, the one that began last gives up. All who look see the same one. A
/// cycle without markers is left to Postgres, which sees it too.
pub(super) fn gives_up(waiter: i32, edges: &[DeadlockEdge]) -> Option<(u32, u32, u8)> {
    let cycle = cycle_through(waiter, edges)?;
    let last = cycle
        .iter()
        .filter(|edge| edge.marked.is_some())
        .max_by(|one, other| {
            let since = one.target_since.total_cmp(&other.target_since);
            since.then(one.target.cmp(&other.target))
        })?;
    last.marked.filter(|_| last.target == waiter)
}

/// The shortest cycle through `waiter`.
fn cycle_through(waiter: i32, edges: &[DeadlockEdge]) -> Option<Vec<&DeadlockEdge>> {
    let mut came_by: HashMap<i32, &DeadlockEdge> = HashMap::new();
    let mut seen = HashSet::from([waiter]);
    let mut next = VecDeque::from([waiter]);
    while let Some(pid) = next.pop_front() {
        // Edges that Postgres does not see come last: a cycle without them is its own.
        let (marked, plain): (Vec<_>, Vec<_>) = edges
            .iter()
            .filter(|edge| edge.source == pid)
            .partition(|edge| edge.marked.is_some());
        for edge in plain.into_iter().chain(marked) {
            if edge.target == waiter {
                let mut cycle = vec![edge];
                while let Some(edge) = came_by.get(&cycle[cycle.len() - 1].source) {
                    cycle.push(edge);
                }
                return Some(cycle);
            }
            if seen.insert(edge.target) {
                came_by.insert(edge.target, edge);
                next.push_back(edge.target);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(source: i32, target: i32, marked: Option<u32>, target_since: f64) -> DeadlockEdge {
        DeadlockEdge {
            source,
            target,
            marked: marked.map(|objid| (0, objid, 1)),
            target_since,
        }
    }

    /// Two processes: 1 waits for shared session 10, whose holder waits on 2; 2 waits for 20, whose holder waits on 1.
    fn ring() -> Vec<DeadlockEdge> {
        vec![
            edge(1, 10, None, 0.0),
            edge(1, 2, Some(7), 5.0),
            edge(2, 20, None, 0.0),
            edge(2, 1, Some(8), 4.0),
        ]
    }

    #[test]
    fn the_wait_that_began_last_gives_up_and_all_agree() {
        assert_eq!(gives_up(2, &ring()), Some((0, 7, 1)));
        assert_eq!(gives_up(1, &ring()), None);
    }

    #[test]
    fn of_waits_that_began_together_the_higher_pid_gives_up() {
        let mut edges = ring();
        for edge in &mut edges {
            edge.target_since = 1.0;
        }
        assert_eq!(gives_up(2, &edges), Some((0, 7, 1)));
        assert_eq!(gives_up(1, &edges), None);
    }

    #[test]
    fn a_chain_that_does_not_come_back_is_not_a_deadlock() {
        let mut edges = ring();
        edges.pop();
        assert_eq!(gives_up(1, &edges), None);
        assert_eq!(gives_up(2, &edges), None);
    }

    #[test]
    fn a_cycle_elsewhere_is_not_ours() {
        let mut edges = ring();
        edges.push(edge(3, 1, None, 0.0));
        assert_eq!(gives_up(3, &edges), None);
    }

    #[test]
    fn a_cycle_that_postgres_sees_is_left_to_it() {
        let edges = [edge(1, 2, None, 9.0), edge(2, 1, None, 8.0)];
        assert_eq!(gives_up(1, &edges), None);
    }

    #[test]
    fn a_session_of_others_in_the_cycle_does_not_give_up() {
        // 3 is a plain session that holds a row and waits for lock 8; it began last.
        let edges = [
            edge(2, 3, None, 9.0),
            edge(3, 20, None, 0.0),
            edge(3, 2, Some(8), 4.0),
        ];
        assert_eq!(gives_up(2, &edges), Some((0, 8, 1)));
    }
}
