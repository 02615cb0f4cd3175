//! What the features `tracing` and `metrics` tell.

mod measures;
mod measures_recorder;
mod traces;
mod traces_recorder;
mod trouble;

use pglock::Database;
use pglock_tests::TestDb;

/// What users read of the names.
const DOCUMENTATION: &str = include_str!("../../../pglock/src/telemetry/docs.md");

fn handle(db: &TestDb) -> Database {
    Database::builder(db.url()).build().unwrap()
}

#[track_caller]
fn assert_documented(name: &str) {
    let quoted = format!("`{name}`");
    assert!(
        DOCUMENTATION.contains(&quoted),
        "{quoted} is not documented"
    );
}
