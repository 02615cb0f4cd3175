//! A caller, and the lists that callers stand in.
//! The links are in the callers, so that any of them leaves at once, however many there are.

use super::orders::HoldId;
use super::slab::{Id, Slab};
use crate::model::options::AdvisoryMode;

#[derive(Clone)]
pub(super) struct Caller {
    pub(super) key: Id,
    pub(super) mode: AdvisoryMode,
    pub(super) no_wait: bool,
    pub(super) own_session: bool,
    pub(super) stage: Stage,
    /// When it asked; of one that leaves, when it was released.
    pub(super) since: u64,
    pub(super) enclosing: Box<[HoldId]>,
    pub(super) links: [Link; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
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
pub(super) const PLACE: usize = 0;
/// Links of those in a wait queue that hold locks meanwhile.
pub(super) const NESTED: usize = 1;

#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    previous: Option<Id>,
    next: Option<Id>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct List<const LINK: usize> {
    head: Option<Id>,
    tail: Option<Id>,
}

impl<const LINK: usize> List<LINK> {
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    pub(super) fn head(&self) -> Option<Id> {
        self.head
    }

    pub(super) fn push_back(&mut self, callers: &mut Slab<Caller>, caller: Id) {
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

    pub(super) fn remove(&mut self, callers: &mut Slab<Caller>, caller: Id) {
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

    pub(super) fn iter<'a>(
        &self,
        callers: &'a Slab<Caller>,
    ) -> impl Iterator<Item = Id> + use<'a, LINK> {
        std::iter::successors(self.head, |caller| callers[*caller].links[LINK].next)
    }
}
