#![deny(warnings)]

use std::time::Duration;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const LIMIT: Duration = Duration::from_secs(30);

#[pglock::advisory(hold_at_least = "30s")]
fn at_least() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory(hold_at_least = 30, hold_at_most = "10m")]
async fn both() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory(hold_at_least = "30s", hold_at_most = 30)]
async fn as_long() -> Result<(), Failure> {
    Ok(())
}

// Compared at run time.
#[pglock::advisory("job", hold_at_least = LIMIT * 2, hold_at_most = limit, shared, xact = false)]
async fn computed(limit: Duration) -> Result<(), Failure> {
    let _ = limit;
    Ok(())
}

#[pglock::advisory(hold_at_most = 0.5, timeout = 0, side_effect = Skip(0), on_error = Panic)]
async fn skips() -> i32 {
    1
}

macro_rules! job {
    ($name:ident, $limit:expr) => {
        #[pglock::advisory(hold_at_least = $limit)]
        fn $name() -> Result<(), Failure> {
            Ok(())
        }
    };
}

job!(from_a_macro, "30s");

fn main() {
    let _ = (at_least, both, as_long, computed, skips, from_a_macro);
}
