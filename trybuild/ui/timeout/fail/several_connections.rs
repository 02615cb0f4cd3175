#[pglock::timeout("3s")]
fn job(one: &mut postgres::Client, two: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = (one, two);
    Ok(())
}

fn main() {}
