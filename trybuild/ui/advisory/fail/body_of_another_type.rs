#[pglock::advisory]
fn report() -> Result<u32, pglock::Error> {
    "one"
}

fn main() {}
