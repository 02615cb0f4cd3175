#![deny(warnings)]

#[pglock::advisory]
fn r#match(r#type: u8) -> Result<u8, pglock::Error> {
    Ok(r#type)
}

#[pglock::advisory("raw", client = r#client)]
fn r#loop(r#client: &mut postgres::Client) -> Result<bool, pglock::Error> {
    Ok(r#client.is_closed())
}

fn main() {
    let _ = (r#match, r#loop);
}
