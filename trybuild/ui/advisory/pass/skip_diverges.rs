#![deny(warnings)]

#[pglock::advisory("exit", timeout = 0, side_effect = Skip(std::process::exit(75)))]
fn exits() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory("panic", timeout = 0, side_effect = Skip(panic!("busy")))]
async fn panics() -> Result<u8, pglock::Error> {
    Ok(1)
}

#[pglock::advisory("return", timeout = 0, side_effect = Skip(return Ok(0)))]
fn returns() -> Result<u8, pglock::Error> {
    Ok(1)
}

fn main() {
    let _ = (exits, panics, returns);
}
