//! A caller, and the lists that callers stand in.
//! The links are in the callers, so that any of them leaves at once, however many there are.

use super::slab::{Id, Slab};
use crate::engine::ledger::orders::HoldId;
use crate::model::options::AdvisoryMode;

#[derive(Clone)]
pub(in crate::engine::ledger) struct Caller {
    pub(in crate::engine::ledger) key: Id,
    pub(in crate::engine::ledger) mode: AdvisoryMode,
    pub(in crate::engine::ledger) no_wait: bool,
    pub(in crate::engine::ledger) own_session: bool,
    pub(in crate::engine::ledger) stage: Stage,
    /// When it asked; of one that leaves, when it was released.
    pub(in crate::engine::ledger) since: u64,
    pub(in crate::engine::ledger) enclosing: Box<[HoldId]>,
    /// Whether it holds others that another ledger knows.
    pub(in crate::engine::ledger) holds_elsewhere: bool,
    pub(in crate::engine::ledger) links: [Link; 2],
}

impl Caller {
    /// Whether it holds locks while it waits.
    pub(in crate::engine::ledger) fn is_nested(&self) -> bool {
        self.holds_elsewhere || !self.enclosing.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::engine::ledger) enum Stage {
    Waiting,
    Holding {
        session: Id,
    },
    /// Released, and the server has not confirmed it yet.
    Leaving {
        session: Id,
    },
}

/// Links of the wait queue, of those who only try, or of the holders: a caller is in one of these at a time.
pub(in crate::engine::ledger) const PLACE: usize = 0;
/// Links of those in a wait queue that hold locks meanwhile.
pub(in crate::engine::ledger) const NESTED: usize = 1;

#[derive(Clone, Copy, Default)]
pub(in crate::engine::ledger) struct Link {
    previous: Option<Id>,
    next: Option<Id>,
}

#[derive(Clone, Copy, Default)]
pub(in crate::engine::ledger) struct List<const LINK: usize> {
    head: Option<Id>,
    tail: Option<Id>,
}

impl<const LINK: usize> List<LINK> {
    pub(in crate::engine::ledger) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    pub(in crate::engine::ledger) fn head(&self) -> Option<Id> {
        self.head
    }

    pub(in crate::engine::ledger) fn push_back(&mut self, callers: &mut Slab<Caller>, caller: Id) {
        callers[caller].links[LINK] = Link {
            previous: self.tail,
            next: None,
        };
        match self.tail {
            Some(tail) => callers[tail].links[LINK].next = Some(caller),
            None => self.head = Some(caller),
        }
        self.tail = Some(caller);
    }

    pub(in crate::engine::ledger) fn remove(&mut self, callers: &mut Slab<Caller>, caller: Id) {
        let Link { previous, next } = std::mem::take(&mut callers[caller].links[LINK]);
        match previous {
            Some(previous) => callers[previous].links[LINK].next = next,
            None => self.head = next,
        }
        match next {
            Some(next) => callers[next].links[LINK].previous = previous,
            None => self.tail = previous,
        }
    }

    pub(in crate::engine::ledger) fn iter<'a>(
        &self,
        callers: &'a Slab<Caller>,
    ) -> impl Iterator<Item = Id> + use<'a, LINK> {
        std::iter::successors(self.head, |caller| callers[*caller].links[LINK].next)
    }
}
