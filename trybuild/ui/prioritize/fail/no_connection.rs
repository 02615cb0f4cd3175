#[pglock::prioritize]
fn job(name: &str) -> Result<(), pglock::Error> {
    let _ = name;
    Ok(())
}

fn main() {}
