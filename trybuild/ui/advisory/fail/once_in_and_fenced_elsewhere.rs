#[pglock::advisory("a", once_in = "0s")]
fn no_time() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory("a", once_in = None)]
fn none() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory("a", once_in = "55m", fenced, client = client)]
fn client(client: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = client;
    Ok(())
}

#[pglock::advisory("a", fenced, xact)]
fn xact() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(all("a", "b"), once_in = "55m")]
fn several() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(3, "a", fenced)]
fn limit() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
