type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[pglock::advisory]
fn report(name: &str) -> BoxFuture<'_, Result<usize, pglock::Error>> {
    Box::pin(async { Ok(name.len()) })
}

fn main() {}
