//! Waits that last.

use std::time::Duration;

use pglock::Error;
use pglock_tests::{BOUND, database, pid_of};
use tracing::Level;

use super::spans::{assert_all_documented, in_a_span, runtime};
use super::spans_recorder::Recorder;
use super::{another_handle, handle};

type Wait<'w> = &'w (dyn Fn() -> Error + Sync);

/// All of them at once: each lasts for half a minute.
#[test]
fn a_wait_that_lasts_says_so_with_the_holder() {
    let db = database();
    let here = handle(&db);
    let mut holder = db.connect_as("night-shift");
    let pid = pid_of(&mut holder).to_string();
    let held = pglock::advisory("elsewhere").on(&mut holder);
    let held = held.acquire().unwrap();
    let ours = pglock::advisory("here").using(&here).acquire().unwrap();

    let timeout = Duration::from_secs(31);
    let lock = || pglock::advisory("elsewhere").timeout(timeout);
    let own = |lock: pglock::Advisory| lock.using(&here).acquire().unwrap_err();
    let on_a_connection = || lock().on(&mut db.connect()).acquire().unwrap_err();
    let on_an_async_one = || {
        runtime().block_on(async {
            let connected = tokio_postgres::connect(db.url(), tokio_postgres::NoTls).await;
            let (mut client, connection) = connected.unwrap();
            tokio::spawn(connection);
            let acquired = lock().on_async(&mut client).acquire().await;
            acquired.unwrap_err()
        })
    };
    let in_a_future = || {
        let lock = lock().using(another_handle(&db));
        pollster::block_on(lock.acquire_async()).unwrap_err()
    };
    let of_ours = || own(pglock::advisory("here").timeout(timeout));
    let of_others = || own(lock());
    let waits: [(Wait<'_>, bool); 5] = [
        (&of_others, false),
        (&of_ours, true),
        (&in_a_future, false),
        (&on_a_connection, false),
        (&on_an_async_one, false),
    ];
    std::thread::scope(|scope| {
        let threads = waits.map(|(wait, is_here)| {
            scope.spawn(move || {
                let recorder = Recorder::default();
                let error = in_a_span(&recorder, wait);
                assert!(error.is_busy(), "{error}");
                (recorder, is_here)
            })
        });
        for thread in threads {
            let (recorder, is_here) = thread.join().unwrap();
            let wait = recorder.event("pglock.wait");
            assert_eq!(wait.level, Level::INFO);
            assert_eq!(wait.parent, Some("pglock.acquire"));
            assert_eq!(wait.fields.get("mode"), Some("exclusive"));
            let waited: f64 = wait.fields.get("waited_ms").unwrap().parse().unwrap();
            assert!((30_000.0..31_000.0 + 1e3 * BOUND.as_secs_f64()).contains(&waited));
            let of_holder = |field: &str| wait.fields.get(field);
            assert_eq!(
                of_holder("holder.this_process"),
                Some(if is_here { "true" } else { "false" })
            );
            if !is_here {
                assert_eq!(of_holder("holder.pid"), Some(&*pid));
                assert_eq!(of_holder("holder.application_name"), Some("night-shift"));
            }
            assert_all_documented(&recorder);
        }
    });
    held.release().unwrap();
    ours.release().unwrap();
}
