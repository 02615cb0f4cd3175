#[pglock::retry(on_error = |error| Err(error.to_string()))]
fn of_a_string(client: &mut postgres::Client) -> Result<(), String> {
    let _ = client;
    Ok(())
}

#[pglock::retry(on_error = Panic)]
fn no_result(client: &mut postgres::Client) -> u32 {
    let _ = client;
    1
}

#[pglock::retry(on_error = Panic)]
async fn no_result_async(client: &mut tokio_postgres::Client) -> Option<()> {
    let _ = client;
    None
}

#[pglock::retry]
fn without_from(client: &mut postgres::Client) -> Result<(), postgres::Error> {
    client.batch_execute("SELECT 1")
}

fn by_hand(client: &mut postgres::Client) {
    let _ = pglock::retry_locks().run(client, |_| -> Result<(), String> { Ok(()) });
}

fn main() {}
