#[pglock::advisory("report:{name.len()}")]
fn report(id: u32, name: &str) -> Result<u32, pglock::Error> {
    let _ = name;
    Ok(id)
}

fn main() {}
