//! The locks that are taken, by their numbers. Few, so that they are contended. Pure.

use std::ops::Range;

use pglock::{LockId, advisory_id};

use crate::log::Mode;

/// By which the processes lead: nobody else asks for it, but calls in the body of who has it.
pub(crate) const LEADERS: usize = 0;

/// One of each kind, in the order in which several are taken at once.
pub(crate) const LOCKS: Range<usize> = 1..5;

/// What several can have at once.
pub(crate) const LIMITS: Range<usize> = 5..7;

/// Of all of them. That of a limit is held by who is first in line.
pub(crate) fn lock_id(key: usize) -> LockId {
    match key {
        LEADERS => "soak, who leads".into(),
        1 => "soak".into(),
        2 => "soak, a name whose key has the sign bit set".into(),
        3 => (-7).into(),
        4 => (1, -2).into(),
        5 => "soak, two at once".into(),
        _ => "soak, three at once".into(),
    }
}

/// How many can have it at once, if it is a limit.
pub(crate) fn permits(key: usize) -> Option<u32> {
    match key {
        5 => Some(2),
        6 => Some(3),
        _ => None,
    }
}

/// Which one `pg_locks` shows with these halves, held in that mode. None of these is what a new session locks as it looks
/// at its server, nor who is first in the line for a limit.
pub(crate) fn shown_as(halves: (u32, u32), mode: &str) -> Option<(usize, Mode)> {
    let mode = match mode {
        "ShareLock" => Mode::Shared,
        _ => Mode::Exclusive,
    };
    let is_permit = |limit: &usize| {
        let numbers = 0..permits(*limit).unwrap_or_default();
        let mut names = numbers.map(|number| format!("{} (slot {number})", name(*limit)));
        names.any(|name| advisory_id(name) == halves)
    };
    let is_lock = |key: &usize| advisory_id(lock_id(*key)) == halves;
    let lock = (LEADERS..LOCKS.end).find(is_lock).map(|key| (key, mode));
    lock.or_else(|| {
        let limit = LIMITS.into_iter().find(is_permit)?;
        Some((limit, Mode::Permit(permits(limit)?)))
    })
}

fn name(limit: usize) -> String {
    match lock_id(limit) {
        LockId::Name(name) => name.into_owned(),
        id => panic!("the permits of {id:?} have other names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn their_order_is_that_in_which_several_are_taken() {
        // Numbers before pairs, as the server shows them.
        let order = LOCKS.map(|key| match lock_id(key) {
            LockId::Pair(first, second) => (true, i64::from(first), second),
            id => {
                let (high, low) = advisory_id(id);
                let number = (u64::from(high) << 32 | u64::from(low)).cast_signed();
                (false, number, 0)
            }
        });
        assert!(order.clone().is_sorted(), "{:?}", order.collect::<Vec<_>>());
    }

    #[test]
    fn a_permit_is_seen_in_the_server() {
        for limit in LIMITS {
            let many = permits(limit).unwrap();
            let last = advisory_id(format!("{} (slot {})", name(limit), many - 1));
            let shown = shown_as(last, "ExclusiveLock");
            assert_eq!(shown, Some((limit, Mode::Permit(many))));
            assert_eq!(shown_as(advisory_id(lock_id(limit)), "ExclusiveLock"), None);
        }
        let shown = shown_as(advisory_id(lock_id(LEADERS)), "ShareLock");
        assert_eq!(shown, Some((LEADERS, Mode::Shared)));
    }
}
