//! What the compiler says to users of pglock: see `tests/ui.rs`.
