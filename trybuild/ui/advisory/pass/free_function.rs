#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory]
fn report() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory()]
pub fn count(names: Vec<String>, suffix: &str) -> Result<usize, pglock::Error> {
    Ok(names.len() + suffix.len())
}

#[must_use]
#[pglock::advisory("sums")]
/// Adds.
fn sum(a: i32, mut b: i32) -> Result<i32, pglock::Error> {
    b += a;
    Ok(b)
}

fn main() {
    let _ = (report, count, sum);
}
