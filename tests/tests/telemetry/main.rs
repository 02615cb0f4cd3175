//! What the features `tracing` and `metrics` report.

mod attributes_of_others;
mod bodies;
mod losses;
mod metrics;
mod metrics_recorder;
mod retry;
mod signals;
mod spans;
mod spans_recorder;
mod trouble;
mod waits;

use std::sync::LazyLock;

use pglock::Database;
use pglock_tests::TestDb;
use tracing::Dispatch;

/// What users read of the names.
const DOCUMENTATION: &str = include_str!("../../../docs/guide/observability.md");

/// While a process has had one subscriber only, `tracing` asks that of the thread which first tells something whether anybody
/// wants to hear of it: a test without a subscriber would answer for all.
fn several_subscribers() {
    static SUBSCRIBERS: LazyLock<[Dispatch; 2]> =
        LazyLock::new(|| [(); 2].map(|()| Dispatch::new(tracing_subscriber::registry())));
    LazyLock::force(&SUBSCRIBERS);
}

fn handle(db: &TestDb) -> Database {
    several_subscribers();
    Database::builder(db.url()).build().unwrap()
}

/// A handle that shares no session with [`handle`]: what one holds, the other waits for in the server.
fn another_handle(db: &TestDb) -> Database {
    let builder = Database::builder(db.url()).application_name("another handle");
    builder.build().unwrap()
}

#[track_caller]
fn assert_documented(name: &str) {
    let quoted = format!("`{name}`");
    assert!(
        DOCUMENTATION.contains(&quoted),
        "{quoted} is not documented"
    );
}
