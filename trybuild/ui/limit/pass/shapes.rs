#![deny(warnings, clippy::pedantic)]

use pglock::limit;

const AT_ONCE: u32 = 4;

#[limit(3)]
fn named_after_itself() -> Result<(), pglock::Error> {
    Ok(())
}

#[limit(AT_ONCE, "{country}-{N}", timeout = 0, side_effect = Skip, hold_at_least = "1s", dedicated)]
async fn generic<const N: usize>(country: &str, mut numbers: Vec<String>) -> Result<(), pglock::Error> {
    numbers.push(country.to_owned());
    Ok(())
}

#[limit(2, lock_id = 7, using = "reports", reentrant = false, on_error = Panic)]
fn by_a_number() -> usize {
    1
}

struct Sender {
    id: u32,
}

impl Sender {
    #[limit(10, "sender-{self.id}")]
    #[pglock::advisory("inner")]
    async fn send(&self) -> Result<u32, pglock::Error> {
        Ok(self.id)
    }
}

fn main() {
    let _ = (named_after_itself, by_a_number);
    drop(generic::<1>("de", Vec::new()));
    drop(Sender { id: 1 }.send());
}
