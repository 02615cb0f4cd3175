//! What a call costs.

use std::time::Duration;

use pglock::{Database, Error};
use pglock_tests::{BOUND, Proxy, database, server, server_is_ours, wait_until};

use crate::blocking_job;

#[test]
fn an_uncontended_call_costs_two_round_trips() {
    if !server_is_ours() {
        // A proxy in front of a server that may want TLS or a password would test that instead.
        return;
    }
    let db = database();
    let proxy = Proxy::start(server());
    let here = Database::builder(proxy.url(db.name())).build().unwrap();
    let warm_up = || blocking_job(&here).unwrap();
    warm_up();
    let cost = |what: &str, call: &dyn Fn()| {
        let before = proxy.round_trips();
        for _ in 0..10 {
            call();
        }
        assert_eq!(proxy.round_trips() - before, 20, "{what}");
    };
    cost("an annotated call with a timeout", &|| {
        drop(blocking_job(&here));
    });
    cost("without a timeout", &|| {
        pglock::advisory("cost")
            .using(&here)
            .run(|| Ok::<_, Error>(()))
            .unwrap();
    });
    cost("tried", &|| {
        pglock::advisory("cost")
            .using(&here)
            .try_run(|| Ok::<_, Error>(()))
            .unwrap();
    });
    cost("async", &|| {
        drop(pollster::block_on(
            pglock::advisory("cost")
                .using(&here)
                .run_async(async { Ok::<_, Error>(()) }),
        ));
    });
    pglock::advisory("cost")
        .using(&here)
        .xact()
        .run(|| Ok::<_, Error>(()))
        .unwrap();
    cost("xact", &|| {
        pglock::advisory("cost")
            .using(&here)
            .xact()
            .timeout(Duration::from_secs(1))
            .run(|| Ok::<_, Error>(()))
            .unwrap();
    });
    let mut client = postgres::Client::connect(&proxy.url(db.name()), postgres::NoTls).unwrap();
    let before = proxy.round_trips();
    pglock::advisory("cost")
        .timeout(Duration::from_secs(1))
        .on(&mut client)
        .acquire()
        .unwrap()
        .release()
        .unwrap();
    assert_eq!(proxy.round_trips() - before, 2);
    wait_until("nothing is held", BOUND, || db.advisory_locks().is_empty());
}
