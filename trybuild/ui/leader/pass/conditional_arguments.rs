#![deny(warnings)]

#[pglock::leader("conditional arguments")]
async fn schedule(
    #[cfg(true)] name: String,
    #[cfg(false)] name: NoSuchType,
    #[cfg(false)] missing: NoSuchType,
    #[cfg(true)] (first, second): (Vec<u8>, u8),
) -> Result<(), pglock::Error> {
    drop((name, first, second));
    Ok(())
}

fn main() {
    let _future = schedule(String::new(), (Vec::new(), 1));
}
