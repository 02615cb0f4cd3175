//! Storage whose ids are not reused: an id that has outlived its value finds nothing.

use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

/// A place in a [`Slab`], and the how-manieth value it was given out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::engine::ledger) struct Id {
    index: u32,
    /// Not zero, so that an `Option<Id>` is as small as an `Id`.
    generation: NonZeroU32,
}

/// Slots are never moved: to grow takes no longer with many values than with few, and leaves no room unused.
#[derive(Clone)]
pub(in crate::engine::ledger) struct Slab<T> {
    /// All but the last are full of slots.
    pages: Vec<Vec<SlabSlot<T>>>,
    free: Vec<u32>,
}

const SLOTS_OF_PAGE: usize = 64;

#[derive(Clone)]
struct SlabSlot<T> {
    generation: NonZeroU32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(in crate::engine::ledger) fn new() -> Self {
        Self {
            pages: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(in crate::engine::ledger) fn insert(&mut self, value: T) -> Id {
        if let Some(index) = self.free.pop() {
            let slot = self.slot_mut(index).expect("a slot that was freed");
            slot.value = Some(value);
            return Id {
                index,
                generation: slot.generation,
            };
        }
        let index = u32::try_from(self.slots()).expect("fewer than 2^32 values");
        let generation = NonZeroU32::MIN;
        if self.slots().is_multiple_of(SLOTS_OF_PAGE) {
            self.pages.push(Vec::with_capacity(SLOTS_OF_PAGE));
        }
        let page = self.pages.last_mut().expect("it was just added");
        page.push(SlabSlot {
            generation,
            value: Some(value),
        });
        Id { index, generation }
    }

    /// How many there are, with values and without.
    fn slots(&self) -> usize {
        let last = self.pages.last().map_or(SLOTS_OF_PAGE, Vec::len);
        self.pages.len() * SLOTS_OF_PAGE + last - SLOTS_OF_PAGE
    }

    fn slot(&self, index: u32) -> Option<&SlabSlot<T>> {
        let index = index as usize;
        self.pages
            .get(index / SLOTS_OF_PAGE)?
            .get(index % SLOTS_OF_PAGE)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut SlabSlot<T>> {
        let index = index as usize;
        let page = self.pages.get_mut(index / SLOTS_OF_PAGE)?;
        page.get_mut(index % SLOTS_OF_PAGE)
    }

    pub(in crate::engine::ledger) fn get(&self, id: Id) -> Option<&T> {
        let slot = self.slot(id.index)?;
        slot.value
            .as_ref()
            .filter(|_| slot.generation == id.generation)
    }

    pub(in crate::engine::ledger) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let slot = self.slot_mut(id.index)?;
        slot.value
            .as_mut()
            .filter(|_| slot.generation == id.generation)
    }

    pub(in crate::engine::ledger) fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.slot_mut(id.index)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        // After 2^32 values in one place an id from the beginning would be taken for a new one.
        slot.generation = slot.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.free.push(id.index);
        Some(value)
    }

    #[cfg(test)]
    pub(in crate::engine::ledger) fn iter(&self) -> impl Iterator<Item = &T> {
        let slots = self.pages.iter().flatten();
        slots.filter_map(|slot| slot.value.as_ref())
    }

    #[cfg(test)]
    pub(in crate::engine::ledger) fn len(&self) -> usize {
        self.slots() - self.free.len()
    }
}

impl<T> Index<Id> for Slab<T> {
    type Output = T;

    fn index(&self, id: Id) -> &T {
        self.get(id)
            .expect("the ledger keeps no id of a value that is gone")
    }
}

impl<T> IndexMut<Id> for Slab<T> {
    fn index_mut(&mut self, id: Id) -> &mut T {
        self.get_mut(id)
            .expect("the ledger keeps no id of a value that is gone")
    }
}
