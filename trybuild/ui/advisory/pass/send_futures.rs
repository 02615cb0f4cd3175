#![deny(warnings)]

use std::cell::Cell;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `Send`, and not `Sync`.
#[pglock::advisory("own session")]
async fn own_session(cell: Cell<u8>, name: &str) -> Result<usize, Failure> {
    tokio::task::yield_now().await;
    Ok(usize::from(cell.get()) + name.len())
}

#[pglock::advisory("skip", timeout = 0, side_effect = Skip(Ok(0)), on_error = |_| Ok(0))]
async fn options(cell: Cell<u8>) -> Result<u8, String> {
    tokio::task::yield_now().await;
    Ok(cell.get())
}

#[pglock::advisory("client", client = client)]
#[pglock::advisory("nested")]
async fn client(client: &mut tokio_postgres::Client, cell: Cell<u8>) -> Result<u8, Failure> {
    client.execute("SELECT 1", &[]).await?;
    Ok(cell.get())
}

#[pglock::advisory("transaction", client = tx, xact)]
async fn transaction(tx: &mut tokio_postgres::Transaction<'_>) -> Result<u64, Failure> {
    Ok(tx.execute("SELECT 1", &[]).await?)
}

#[pglock::advisory]
async fn generic<T: Send>(value: T) -> Result<T, Failure> {
    tokio::task::yield_now().await;
    Ok(value)
}

fn assert_send<T: Send>(_: T) {}

fn main() {
    assert_send(own_session(Cell::new(1), ""));
    assert_send(options(Cell::new(1)));
    assert_send(generic(Cell::new(1)));
    let _ = |connection: &mut tokio_postgres::Client| assert_send(client(connection, Cell::new(1)));
    let _ = |tx: &mut tokio_postgres::Transaction<'_>| assert_send(transaction(tx));
}
