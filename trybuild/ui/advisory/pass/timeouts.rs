#![deny(warnings)]

use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const TIMEOUT: Duration = Duration::from_secs(1);

macro_rules! check {
    ($($name:ident($timeout:expr);)*) => {
        $(
            #[pglock::advisory(timeout = $timeout)]
            fn $name() -> Result<(), Failure> {
                Ok(())
            }
        )*
    };
}

check! {
    seconds("2s");
    minutes_and_seconds("1m 30s");
    zero(0);
    zero_text("0");
    zero_seconds("0s");
    integer(2);
    float(0.5);
    shortest("1ms");
    longest("2147483647ms");
    for_ever(None);
    constant(TIMEOUT);
    some(Some(TIMEOUT));
    doubled(TIMEOUT * 2);
    computed(Duration::from_millis(5).saturating_add(TIMEOUT));
}

#[pglock::advisory("argument", timeout = timeout, side_effect = Skip)]
fn argument(timeout: Duration) -> Result<(), Failure> {
    let _ = timeout;
    Ok(())
}

fn main() {
    let _ = (seconds, minutes_and_seconds, zero, zero_text, zero_seconds, integer, float, shortest, longest, for_ever);
    let _ = (constant, some, doubled, computed, argument);
}
