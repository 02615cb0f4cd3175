fn handler(error: std::io::Error) -> usize {
    error.to_string().len()
}

#[pglock::advisory(on_error = handler)]
fn report() -> usize {
    1
}

fn main() {}
