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

#[test]
fn the_interval_is_one_second_in_both_crates() {
    let _ = with_a_timeout_of_the_default_interval;
    let builder = format!("{:?}", pglock::prioritize());
    assert!(builder.contains("interval: 1s,"), "{builder}");
}
