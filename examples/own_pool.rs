//! One job, on connections of your own pool: of deadpool-postgres, or of sqlx. The lock is on the connection that the job
//! works on, and the two exclude each other.
//!
//! Run it with `cargo run -p pglock-examples --example own_pool`.

use std::process::ExitCode;

use pglock_examples as demo;
use pglock_examples::Error;
use sqlx::PgConnection;
use sqlx::postgres::PgPoolOptions;
use tokio_postgres::{Client, NoTls};

#[pglock::advisory("count orders", client = db, timeout = 0, side_effect = Skip)]
async fn count_orders(db: &mut Client) -> Result<Option<i64>, Error> {
    let row = db.query_one("SELECT count(*) FROM orders", &[]).await?;
    Ok(Some(row.get(0)))
}

#[pglock::advisory("count orders", client = db, timeout = 0, side_effect = Skip)]
async fn count_orders_by_sqlx(db: &mut PgConnection) -> Result<Option<i64>, Error> {
    let count = sqlx::query_scalar("SELECT count(*) FROM orders");
    Ok(Some(count.fetch_one(db).await?))
}

#[tokio::main]
async fn count_with_both(url: &str) -> Result<(), Error> {
    let manager = deadpool_postgres::Manager::new(url.parse()?, NoTls);
    let deadpool = deadpool_postgres::Pool::builder(manager).build()?;
    let sqlx_pool = PgPoolOptions::new().connect(url).await?;

    let mut object = deadpool.get().await?;
    let counted = count_orders(&mut object).await?;
    println!("A connection of deadpool counts {counted:?} orders.");
    let mut connection = sqlx_pool.acquire().await?;
    let counted_by_sqlx = count_orders_by_sqlx(&mut connection).await?;
    println!("A connection of sqlx counts {counted_by_sqlx:?} orders.");
    if (counted, counted_by_sqlx) != (Some(3), Some(3)) {
        return Err("there are three orders".into());
    }

    // The same lock by hand: the guard lends the connection.
    let lock = pglock::advisory("count orders").on_async(&mut connection);
    let mut locked = lock.acquire().await?;
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&mut **locked)
        .await?;
    let skipped = count_orders(&mut object).await?;
    println!("While that of sqlx holds the lock in {name}, that of deadpool skips: {skipped:?}.");
    locked.release().await?;
    if skipped.is_some() {
        return Err("two connections held the lock at the same time".into());
    }

    // In a transaction, whose end releases the lock.
    let mut tx = sqlx_pool.begin().await?;
    let lock = pglock::advisory("new orders");
    lock.acquire_xact_async(&mut tx).await?;
    let add = sqlx::query("INSERT INTO orders VALUES (4)");
    add.execute(&mut *tx).await?;
    tx.commit().await?;
    println!("A transaction of sqlx has added one under another lock.");
    Ok(())
}

fn demo() -> Result<(), Error> {
    let db = demo::create_database()?;
    let mut client = demo::connect(db.url())?;
    client
        .batch_execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1), (2), (3)")?;
    count_with_both(db.url())
}

fn main() -> ExitCode {
    demo::exit_code(demo())
}

#[test]
fn it_runs() -> Result<(), Error> {
    demo()
}
