#[pglock::advisory(all())]
fn none() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(all("a"))]
fn one() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(all["a", "b-{x}"], timeout = 0)]
fn in_brackets(x: u32) -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(lock_id = all["a", "b"])]
fn in_brackets_by_name() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(all(ids))]
fn of_a_vec(ids: Vec<String>) -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(all("a", all("b", "c")))]
fn inside() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(all("a", "{x}"))]
fn no_such_argument() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::advisory(all("a", "b"), client = client)]
fn client(client: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = client;
    Ok(())
}

#[pglock::advisory(all("a", "b"), xact)]
fn xact() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(3, all("a", "b"))]
fn limit() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader(all("a", "b"))]
async fn leader() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
