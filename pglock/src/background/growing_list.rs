//! A list that only grows, for what the whole process shares.
//!
//! It has no lock. A fork copies a lock as it is just then, and one that another thread had taken is never freed in the
//! child, which has only the thread that forked.

use once_cell::race::OnceBox;

pub(crate) struct GrowingList<T> {
    value: OnceBox<T>,
    // A list of lists: the rest is created when it gets its first value.
    rest: OnceBox<GrowingList<T>>,
}

impl<T> Default for GrowingList<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> GrowingList<T> {
    pub(crate) const fn new() -> Self {
        Self {
            value: OnceBox::new(),
            rest: OnceBox::new(),
        }
    }

    /// The values, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::successors(Some(self), |list| list.rest.get())
            .filter_map(|list| list.value.get())
    }

    /// The first value that is looked for, or a new one at the end.
    ///
    /// Several threads may make one at the same time; all but one are dropped.
    pub(crate) fn find_or_try_add<E>(
        &self,
        is_it: impl Fn(&T) -> bool,
        mut make: impl FnMut() -> Result<T, E>,
    ) -> Result<&T, E> {
        let mut list = self;
        loop {
            let value = list.value.get_or_try_init(|| make().map(Box::new))?;
            if is_it(value) {
                return Ok(value);
            }
            list = list.rest.get_or_init(|| Box::new(Self::new()));
        }
    }

    /// The same where nothing can fail.
    pub(crate) fn find_or_add(
        &self,
        is_it: impl Fn(&T) -> bool,
        mut make: impl FnMut() -> T,
    ) -> &T {
        let added = self.find_or_try_add(is_it, || Ok::<_, std::convert::Infallible>(make()));
        match added {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_add_the_same_at_once_share_it() {
        let list = GrowingList::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..100 {
                        assert_eq!(*list.find_or_add(|it| *it == n, || n), n);
                    }
                });
            }
        });
        let mut values: Vec<i32> = list.iter().copied().collect();
        values.sort_unstable();
        assert_eq!(values, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn what_cannot_be_made_is_not_in_it() {
        let list = GrowingList::<u8>::new();
        assert_eq!(list.find_or_try_add(|_| true, || Err("no")), Err("no"));
        assert_eq!(list.iter().count(), 0);
        assert_eq!(list.find_or_try_add(|_| true, || Ok::<_, ()>(1)), Ok(&1));
    }
}
