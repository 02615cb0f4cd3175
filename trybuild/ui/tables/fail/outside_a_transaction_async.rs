async fn lock(client: &mut tokio_postgres::Client) -> Result<bool, pglock::Error> {
    pglock::table("orders").try_lock_async(client).await
}

fn main() {}
