#[pglock::leader("scheduler", timeout = "2s")]
async fn waits() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", side_effect = Skip)]
async fn skips() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", client = client)]
async fn on_a_client(client: &tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = client;
    Ok(())
}

#[pglock::leader("scheduler", shared)]
async fn shares() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", restart = None)]
async fn never_restarts() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", restart = 0)]
async fn restarts_without_a_pause() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", fenced)]
async fn has_a_token() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", dedicated)]
async fn has_a_session() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", once_in = "55m")]
async fn runs_once() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", restart_on_errors)]
async fn misspelled() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::leader("scheduler", "another")]
async fn another_id() -> Result<(), pglock::Error> {
    Ok(())
}

fn main() {}
