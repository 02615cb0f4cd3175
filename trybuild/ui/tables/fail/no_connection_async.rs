async fn look(client: &mut postgres::Client) -> Result<Vec<pglock::Lock>, pglock::Error> {
    pglock::locks().fetch_async(client).await
}

fn main() {}
