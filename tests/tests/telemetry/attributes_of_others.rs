//! What an attribute of another crate's covers, above pglock's and below it.

use pglock::{Database, Error};
use pglock_tests::{BOUND, database, wait_until};

use super::handle;
use super::spans_recorder::Recorder;

#[tracing::instrument(name = "theirs", skip_all)]
#[pglock::advisory("job", using = here)]
fn above(here: &Database) -> Result<(), Error> {
    Ok(())
}

#[pglock::advisory("job", using = here)]
#[tracing::instrument(name = "theirs", skip_all)]
fn below(here: &Database) -> Result<(), Error> {
    Ok(())
}

#[tracing::instrument(name = "theirs", skip_all)]
#[pglock::advisory("job", using = here)]
async fn above_async(here: &Database) -> Result<(), Error> {
    tokio::task::yield_now().await;
    Ok(())
}

#[pglock::advisory("job", using = here)]
#[tracing::instrument(name = "theirs", skip_all)]
async fn below_async(here: &Database) -> Result<(), Error> {
    tokio::task::yield_now().await;
    Ok(())
}

type Job = fn(&Database) -> Result<(), Error>;

/// The spans that `job` is in: the parents of theirs, of the wait, and of the lock that is held.
fn parents(job: Job) -> [Option<&'static str>; 3] {
    let db = database();
    let (here, recorder) = (handle(&db), Recorder::default());
    recorder.record(|| job(&here)).unwrap();
    wait_until("the hold is over", BOUND, || {
        recorder.span("pglock.hold").is_closed
    });
    ["theirs", "pglock.acquire", "pglock.hold"].map(|name| recorder.span(name).parent)
}

#[test]
fn above_pglocks_attribute_it_covers_the_body() {
    for job in [above, |here| pollster::block_on(above_async(here))] as [Job; 2] {
        assert_eq!(parents(job), [Some("pglock.hold"), None, None]);
    }
}

#[test]
fn below_pglocks_attribute_it_covers_the_wait_too() {
    for job in [below, |here| pollster::block_on(below_async(here))] as [Job; 2] {
        assert_eq!(parents(job), [None, Some("theirs"), Some("theirs")]);
    }
}
