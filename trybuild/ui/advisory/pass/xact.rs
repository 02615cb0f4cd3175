#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("own session", xact)]
fn own_session() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("own session", xact, shared, timeout = "1s")]
async fn own_session_async() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("transaction", xact, client = tx)]
fn transaction(tx: &mut postgres::Transaction<'_>) -> Result<u64, Failure> {
    Ok(tx.execute("SELECT 1", &[])?)
}

#[pglock::advisory("transaction", client = tx, xact = true, timeout = 0, side_effect = Skip)]
async fn transaction_async(tx: &mut tokio_postgres::Transaction<'_>) -> Result<Option<u64>, Failure> {
    Ok(Some(tx.execute("SELECT 1", &[]).await?))
}

#[pglock::advisory("not used", client = tx, xact, on_error = Panic)]
fn not_used(tx: &mut postgres::Transaction<'_>) {}

struct Job<'c> {
    tx: postgres::Transaction<'c>,
    runs: u64,
}

impl Job<'_> {
    #[pglock::advisory("job", client = self.tx, xact)]
    fn run(&mut self) -> Result<&mut u64, Failure> {
        self.runs += self.tx.execute("SELECT 1", &[])?;
        Ok(&mut self.runs)
    }
}

fn main() {
    let _ = (own_session, own_session_async, transaction, transaction_async, not_used, Job::run);
}
