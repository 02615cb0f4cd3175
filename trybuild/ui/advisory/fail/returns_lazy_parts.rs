use std::pin::Pin;

use tokio_postgres::RowStream;

type Failure = Box<dyn std::error::Error + Send + Sync>;
type BoxStream<'a, T> = Pin<Box<dyn Iterator<Item = T> + 'a>>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

#[pglock::advisory("in a tuple")]
async fn in_a_tuple(names: &[String]) -> Result<(BoxStream<'_, &String>, u8), Failure> {
    Ok((Box::pin(names.iter()), 1))
}

#[pglock::advisory("in a list")]
fn in_a_list() -> Result<Vec<BoxFuture<'static, u8>>, Failure> {
    Ok(vec![Box::pin(async { 1 })])
}

#[pglock::advisory("in an array")]
fn in_an_array() -> Result<[Box<dyn Future<Output = u8>>; 1], Failure> {
    Ok([Box::new(async { 1 })])
}

#[pglock::advisory("opaque")]
fn opaque() -> Result<Option<(u8, Vec<impl Future<Output = u8>>)>, Failure> {
    Ok(Some((1, vec![async { 1 }])))
}

// Names do not tell.
#[pglock::advisory("by type")]
async fn by_type(rows: RowStream) -> Result<(u8, Vec<RowStream>), Failure> {
    Ok((1, vec![rows]))
}

fn main() {}
