use pglock::{prioritize, timeout};

#[timeout("300ms")]
#[prioritize(interval = "500ms")]
fn above(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

#[prioritize(interval = "500ms")]
#[timeout("300ms")]
fn below(conn: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

#[prioritize(interval = "500ms")]
#[pglock::advisory("job")]
#[tracing::instrument(skip_all)]
#[timeout("300ms", client = conn)]
async fn with_others_between(conn: &mut tokio_postgres::Client) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {}
