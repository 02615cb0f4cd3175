//! Keys of a test's own: what an isolated test asks for has other keys than it has elsewhere.

#[cfg(feature = "testing")]
use std::sync::Arc;

#[cfg(feature = "testing")]
pub(crate) use scope::Scope;

use super::lock_id::{Key, LockId};

/// The test that a lock was asked for in, if that is isolated. Without the feature `testing` it is nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Isolation {
    #[cfg(feature = "testing")]
    scope: Option<Arc<Scope>>,
}

impl PartialEq for Isolation {
    #[cfg(feature = "testing")]
    fn eq(&self, other: &Self) -> bool {
        self.scope.as_ref().map(Arc::as_ptr) == other.scope.as_ref().map(Arc::as_ptr)
    }

    #[cfg(not(feature = "testing"))]
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Isolation {
    /// That of what runs on this thread now.
    pub(crate) fn here() -> Self {
        Self {
            #[cfg(feature = "testing")]
            scope: scope::here(),
        }
    }

    /// The key of a lock in it, which has `key` elsewhere.
    #[cfg_attr(
        not(feature = "testing"),
        allow(clippy::unused_self, reason = "there is nothing to know")
    )]
    pub(crate) fn key(&self, id: &LockId, key: Key) -> Key {
        #[cfg(feature = "testing")]
        if let Some(scope) = &self.scope {
            return scope.key(id, key);
        }
        let _ = id;
        key
    }

    /// What stands for a hash in it.
    #[cfg_attr(
        not(feature = "testing"),
        allow(clippy::unused_self, reason = "there is nothing to know")
    )]
    pub(crate) fn hash(&self, hash: i64) -> i64 {
        #[cfg(feature = "testing")]
        if let Some(scope) = &self.scope {
            return scope.salted(hash);
        }
        hash
    }
}

#[cfg(feature = "testing")]
mod scope {
    use std::cell::RefCell;
    use std::hash::{BuildHasher, RandomState};
    use std::mem::ManuallyDrop;
    use std::sync::{Arc, Mutex, PoisonError};

    use sha2::{Digest, Sha256};

    use super::super::lock_id::{Key, LockId};

    thread_local! {
        // Never dropped, so that calls in the destructors of other thread-locals find it. It is empty by then.
        static HERE: ManuallyDrop<RefCell<Option<Arc<Scope>>>> =
            const { ManuallyDrop::new(RefCell::new(None)) };
    }

    /// An isolated test.
    #[derive(Debug)]
    pub(crate) struct Scope {
        /// Of its own on this server, whose other clients are other processes.
        salt: [u64; 2],
        /// The locks that were asked for in it.
        asked: Mutex<Vec<(Key, LockId)>>,
    }

    /// The one that runs on this thread now.
    pub(super) fn here() -> Option<Arc<Scope>> {
        // Not every platform keeps what is never dropped.
        HERE.try_with(|here| here.borrow().clone())
            .unwrap_or_default()
    }

    /// Puts back what was there, after a panic too.
    struct PutBack(Option<Arc<Scope>>);

    impl Drop for PutBack {
        fn drop(&mut self) {
            HERE.with(|here| here.replace(self.0.take()));
        }
    }

    impl Scope {
        pub(crate) fn new() -> Arc<Self> {
            // The numbers of each `RandomState` are chosen by chance.
            let salt = [1, 2].map(|nth| RandomState::new().hash_one(nth));
            Arc::new(Self {
                salt,
                asked: Mutex::default(),
            })
        }

        /// What `run` asks for on this thread is asked for in it.
        pub(crate) fn enter<T>(self: &Arc<Self>, run: impl FnOnce() -> T) -> T {
            let _put_back = PutBack(HERE.with(|here| here.replace(Some(Arc::clone(self)))));
            run()
        }

        /// The locks that were asked for in the one that runs on this thread now; `None` outside of one.
        pub(crate) fn asked_here() -> Option<Vec<(Key, LockId)>> {
            let scope = here()?;
            let asked = scope.asked.lock().unwrap_or_else(PoisonError::into_inner);
            Some(asked.clone())
        }

        /// Of a 64-bit key it is one, of a pair a pair.
        pub(super) fn key(&self, id: &LockId, key: Key) -> Key {
            let key = match key {
                Key::Big(key) => Key::Big(self.salted(key)),
                Key::Pair(..) => {
                    let (first, second) = key.pg_locks_columns();
                    let both = u64::from(first) << 32 | u64::from(second);
                    let (first, second) =
                        Key::Big(self.salted(both.cast_signed())).pg_locks_columns();
                    Key::Pair(first.cast_signed(), second.cast_signed())
                }
            };
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.iter().all(|(other, _)| *other != key) {
                asked.push((key, id.clone()));
            }
            key
        }

        pub(super) fn salted(&self, hash: i64) -> i64 {
            let mut digest = Sha256::new();
            for salt in self.salt {
                digest.update(salt.to_le_bytes());
            }
            digest.update(hash.to_le_bytes());
            let mut first = [0; 8];
            first.copy_from_slice(&digest.finalize()[..8]);
            i64::from_le_bytes(first)
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::super::lock_request::LockSpec;
    use super::super::options::AdvisoryMode;
    use super::*;

    fn key(id: impl Into<LockId>) -> Key {
        let lock = LockSpec::new(id.into(), AdvisoryMode::Exclusive, None);
        lock.unwrap().key
    }

    #[test]
    fn keys_are_those_of_the_innermost_scope() {
        let outside = key("job");
        let (outer, inner) = (Scope::new(), Scope::new());
        outer.enter(|| {
            let in_outer = key("job");
            assert_ne!(in_outer, outside);
            assert_ne!(in_outer, key("other"));
            inner.enter(|| {
                assert_ne!(key("job"), in_outer);
                assert_ne!(key("job"), outside);
            });
            assert_eq!(key("job"), in_outer);
        });
        assert_eq!(key("job"), outside);
    }

    #[test]
    fn integers_and_pairs_stay_apart_and_differ_too() {
        Scope::new().enter(|| {
            assert!(matches!(key(1), Key::Big(salted) if salted != 1));
            assert!(matches!(key((0, 1)), Key::Pair(..)));
            assert_ne!(key((0, 1)), Key::Pair(0, 1));
            assert_ne!(key((0, 1)), key((1, 0)));
        });
    }

    #[test]
    fn a_panic_ends_it() {
        let outside = key("job");
        let panicked = std::panic::catch_unwind(|| Scope::new().enter(|| panic!("as tests do")));
        assert!(panicked.is_err());
        assert_eq!(key("job"), outside);
    }
}
