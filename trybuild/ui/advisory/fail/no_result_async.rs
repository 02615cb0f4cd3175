#[pglock::advisory]
async fn report() -> Option<u32> {
    Some(1)
}

fn main() {}
