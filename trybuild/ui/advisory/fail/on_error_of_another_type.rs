#[pglock::advisory(on_error = |error| error.to_string())]
fn report() -> usize {
    1
}

fn main() {}
