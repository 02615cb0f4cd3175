// What `#[async_std::main]`, `#[sqlx::test]` and others above `#[pglock::advisory]` make of an `async fn`.
#[pglock::advisory("report", hold_at_most = "10s")]
fn report() -> Result<(), pglock::Error> {
    async fn report() -> Result<(), pglock::Error> {
        Ok(())
    }
    block_on(async { report().await })
}

fn block_on<F: Future>(future: F) -> F::Output {
    let _ = future;
    unimplemented!()
}

fn main() {
    let _ = report;
}
