#![deny(warnings)]

use postgres::{Client, Transaction};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("other", client = client)]
fn of_another_argument<'n>(client: &mut Client, name: &'n str) -> Result<&'n str, Failure> {
    client.execute("SELECT 1", &[])?;
    Ok(name)
}

#[pglock::advisory("static", client = client)]
fn of_none(client: &mut Client) -> Result<&'static str, Failure> {
    client.execute("SELECT 1", &[])?;
    Ok("none")
}

type Check = Box<dyn Fn(&str) -> bool>;

#[pglock::advisory("function", client = client)]
fn a_function(client: &mut Client) -> Result<Box<dyn Fn(&str) -> bool>, Failure> {
    client.execute("SELECT 1", &[])?;
    let check: Check = Box::new(str::is_empty);
    Ok(check)
}

// The end of the transaction releases the lock.
#[pglock::advisory("transaction", client = tx, xact)]
fn the_transaction<'t, 'c>(tx: &'t mut Transaction<'c>) -> Result<&'t mut Transaction<'c>, Failure> {
    tx.execute("SELECT 1", &[])?;
    Ok(tx)
}

fn main() {
    let _ = (of_another_argument, of_none, a_function, the_transaction);
}
