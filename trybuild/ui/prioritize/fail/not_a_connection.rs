#[pglock::prioritize]
fn job(names: &mut Vec<String>) -> Result<(), pglock::Error> {
    let _ = names;
    Ok(())
}

fn main() {}
