#[pglock::advisory]
fn report() -> u32 {
    1
}

fn main() {}
