//! For the test of what becomes of the terminal.

/// Panics where a test wants to see what becomes of the terminal; not in what is released.
pub(super) fn at(place: &str) {
    if cfg!(debug_assertions) {
        let wanted = std::env::var("PGLOCK_TEST_PANIC");
        assert!(wanted.as_deref() != Ok(place), "a panic for a test");
    }
}
