#[pglock::prioritize]
fn job(one: &mut postgres::Client, other: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = (one, other);
    Ok(())
}

fn main() {}
