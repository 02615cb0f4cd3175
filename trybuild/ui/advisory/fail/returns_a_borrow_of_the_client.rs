use postgres::{Client, Transaction};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("begin", client = client)]
fn begin(client: &mut Client) -> Result<Transaction<'_>, Failure> {
    Ok(client.transaction()?)
}

#[pglock::timeout("3s")]
async fn begin_async(
    client: &mut tokio_postgres::Client,
) -> Result<tokio_postgres::Transaction<'_>, Failure> {
    Ok(client.transaction().await?)
}

#[pglock::prioritize]
fn the_same(client: &mut Client, name: String) -> Result<&mut Client, Failure> {
    drop(name);
    Ok(client)
}

fn main() {
    let _ = (begin, begin_async, the_same);
}
