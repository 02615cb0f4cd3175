use postgres::{Client, Transaction};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("begin", client = client)]
fn named<'c>(client: &'c mut Client, name: &str) -> Result<Transaction<'c>, Failure> {
    let _ = name;
    Ok(client.transaction()?)
}

fn main() {
    let _ = named;
}
