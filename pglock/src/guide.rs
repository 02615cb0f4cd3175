//! The guide, a page per subject: the pages of `docs/guide` in the repository.
//!
//! They are here for their text and their programs, which are tested; there is nothing to call in these modules.

/// Where the pages link to each other. In the files these names lead to files; here, as the first definition of a name
/// counts, to modules.
macro_rules! links {
    () => {
        "\n\n\
         [cookbook]: crate::_guide::cookbook\n\
         [runbook]: crate::_guide::runbook\n\
         [errors]: crate::_guide::errors\n\
         [advisory locks]: crate::_guide::advisory\n\
         [leaders]: crate::_guide::leaders\n\
         [limits]: crate::_guide::limits\n\
         [jobs]: crate::_guide::jobs\n\
         [your connections]: crate::_guide::your_connections\n\
         [testing]: crate::_guide::testing\n\
         [TLS]: crate::_guide::tls\n\
         [observability]: crate::_guide::observability\n\
         [prioritize]: crate::_guide::prioritize\n\
         [retry]: crate::_guide::retry\n\
         [looking at locks]: crate::_guide::looking_at_locks\n\
         [wait graph]: crate::_guide::wait_graph\n\
         [guarantees]: crate::_guide::guarantees\n\
         [compare]: crate::_guide::compare\n\
         [coming from django-pglock]: crate::_guide::django_pglock\n\
         [`AsyncConnection`]: crate::AsyncConnection\n"
    };
}

/// `guide` is a link to `docs/guide`: `cargo package` follows it, so that the pages are published with the crate. The
/// programs of a page are tested only with the features that they need.
macro_rules! pages {
    ($($(#[$summary:meta])* $name:ident = $file:literal, if $features:meta;)+) => {
        $(
            $(#[$summary])*
            #[doc = links!()]
            #[cfg_attr(any(not(doctest), $features), doc = include_str!(concat!("../guide/", $file)))]
            pub mod $name {}
        )+
    };
}

pages! {
    /// Ten tasks, a program for each.
    cookbook = "cookbook.md", if all();
    /// The attribute's options, what a call returns, guards, how long a lock is held, calls inside calls.
    advisory = "advisory.md", if all();
    /// One of all processes does the work, and another one when it can't.
    leaders = "leaders.md", if all();
    /// At most so many at once.
    limits = "limits.md", if all();
    /// Schedulers, job queues and web servers: what to put where, and what to do with a busy lock. Its programs need the
    /// crates of these, so they are tested with the examples.
    jobs = "jobs.md", if any();
    /// Locks on connections and in transactions of yours, tables, lock timeouts; what a drop guarantees on each driver.
    your_connections = "your-connections.md", if all(feature = "diesel", feature = "diesel-async", feature = "sea-orm");
    /// How to test annotated functions: locks or a database of a test's own, locks without a server, busy and lost locks.
    testing = "testing.md", if feature = "testing";
    /// TLS of pglock's own sessions.
    tls = "tls.md", if feature = "rustls";
    /// All spans, events and metrics, with their fields.
    observability = "observability.md", if all();
    /// Terminating the sessions that block a connection.
    prioritize = "prioritize.md", if all();
    /// Short waits and longer and longer pauses, for what waits for locks.
    retry = "retry.md", if all();
    /// Listing locks and blocked locks, filters, named configurations, and canceling or terminating sessions.
    looking_at_locks = "looking-at-locks.md", if feature = "toml";
    /// Who waits for whom, as a tree and for Graphviz.
    wait_graph = "wait-graph.md", if all();
    /// What to look at when locks hold something up, what to end and what not; alerts.
    runbook = "runbook.md", if all();
    /// Each kind of error: its causes, and what to do.
    errors = "errors.md", if all();
    /// Everything that pglock guarantees, and every limit.
    guarantees = "guarantees.md", if all();
    /// django-pglock, sqlx, DistributedLock and ShedLock side by side; when not to use pglock; what to write instead of each.
    compare = "compare.md", if all();
    /// What each name of django-pglock is called here.
    django_pglock = "django-pglock.md", if all();
}
