//! A default that the attributes know as well as the runtime.

use pglock::Error;
use postgres::Client;

// The attribute refuses a timeout below the interval when it is expanded: it takes the interval for one second at most.
// `ui/prioritize/fail/timeout_below_default_interval.rs` shows that it takes it for more than 999 ms.
#[pglock::prioritize(timeout = "1s")]
fn with_a_timeout_of_the_default_interval(conn: &mut Client) -> Result<(), Error> {
    let _ = conn;
    Ok(())
}

// `ui/prioritize/fail/timeout_below_grace_of_escalate.rs` shows that it takes the grace time for more than 4,999 ms, and
// `ui/prioritize/pass/timeouts.rs` that it takes it for five seconds at most.
#[test]
fn the_grace_time_is_five_seconds_in_both_crates() {
    let side_effect = format!("{:?}", pglock::Escalate);
    assert!(side_effect.contains("grace: 5s "), "{side_effect}");
}

#[test]
fn the_interval_is_one_second_in_both_crates() {
    let _ = with_a_timeout_of_the_default_interval;
    let builder = format!("{:?}", pglock::prioritize());
    assert!(builder.contains("interval: 1s,"), "{builder}");
}
