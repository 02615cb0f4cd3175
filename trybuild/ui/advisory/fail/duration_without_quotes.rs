#[pglock::advisory(timeout = 500ms)]
fn report() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
