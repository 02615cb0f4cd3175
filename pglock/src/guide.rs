//! The guide, a page per subject: the pages of `docs/guide` in the repository.
//!
//! They are here for their text and their programs, which are tested; there is nothing to call in these modules.

/// Where the pages link to each other. In the files these names lead to files; here, as the first definition of a name
/// counts, to modules.
macro_rules! links {
    () => {
        "\n\n\
         [advisory locks]: crate::_guide::advisory\n\
         [your connections]: crate::_guide::your_connections\n\
         [testing]: crate::_guide::testing\n\
         [TLS]: crate::_guide::tls\n\
         [observability]: crate::_guide::observability\n\
         [prioritize]: crate::_guide::prioritize\n\
         [looking at locks]: crate::_guide::looking_at_locks\n\
         [wait graph]: crate::_guide::wait_graph\n\
         [guarantees]: crate::_guide::guarantees\n\
         [compare]: crate::_guide::compare\n\
         [coming from django-pglock]: crate::_guide::django_pglock\n"
    };
}

/// `guide` is a link to `docs/guide`: `cargo package` follows it, so that the pages are published with the crate.
macro_rules! pages {
    ($($(#[$attribute:meta])* $name:ident = $file:literal;)+) => {
        $(
            $(#[$attribute])*
            #[doc = links!()]
            #[doc = include_str!(concat!("../guide/", $file))]
            pub mod $name {}
        )+
    };
}

pages! {
    /// The attribute's options, what a call returns, guards, how long a lock is held, calls inside calls.
    advisory = "advisory.md";
    /// Locks on connections and in transactions of yours, tables, lock timeouts; what a drop guarantees on each driver.
    #[cfg(any(not(doctest), all(feature = "diesel", feature = "sqlx")))]
    your_connections = "your-connections.md";
    /// How to test annotated functions: a database per test, busy and lost locks.
    testing = "testing.md";
    /// TLS of pglock's own sessions.
    #[cfg(any(not(doctest), feature = "rustls"))]
    tls = "tls.md";
    /// All spans, events and metrics, with their fields.
    observability = "observability.md";
    /// Terminating the sessions that block a connection.
    prioritize = "prioritize.md";
    /// Listing locks and blocked locks, filters, named configurations, and canceling or terminating sessions.
    #[cfg(any(not(doctest), feature = "toml"))]
    looking_at_locks = "looking-at-locks.md";
    /// Who waits for whom, as a tree and for Graphviz.
    wait_graph = "wait-graph.md";
    /// Everything that pglock guarantees, and every limit.
    guarantees = "guarantees.md";
    /// django-pglock, sqlx, DistributedLock and ShedLock side by side.
    compare = "compare.md";
    /// What each name of django-pglock is called here.
    django_pglock = "django-pglock.md";
}
