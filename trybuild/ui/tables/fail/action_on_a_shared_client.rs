async fn unblock(client: &tokio_postgres::Client) -> Result<Vec<i32>, pglock::Error> {
    pglock::blocked_locks().terminate_blocking_activity_async(&mut &*client).await
}

fn main() {}
