#[pglock::advisory]
fn report() -> Result<u32, std::io::Error> {
    Ok(1)
}

fn main() {}
