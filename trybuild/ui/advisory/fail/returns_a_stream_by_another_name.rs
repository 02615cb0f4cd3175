use tokio_postgres::{Client, RowStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("report")]
async fn report(client: &Client) -> Result<Option<RowStream>, Failure> {
    Ok(Some(client.query_raw("SELECT 1", [""; 0]).await?))
}

type Rows = Result<RowStream, Failure>;

#[pglock::advisory("rows")]
async fn rows(client: &Client) -> Rows {
    Ok(client.query_raw("SELECT 1", [""; 0]).await?)
}

fn main() {
    let _ = (report, rows);
}
