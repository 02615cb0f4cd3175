#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tracing::instrument(skip(name), err)]
#[pglock::advisory("above")]
fn above(name: &str) -> Result<usize, Failure> {
    Ok(name.len())
}

#[pglock::advisory("below")]
#[tracing::instrument(ret)]
fn below(name: &str) -> Result<usize, Failure> {
    Ok(name.len())
}

#[tracing::instrument(err)]
#[pglock::advisory("above")]
async fn above_async(name: &str) -> Result<usize, Failure> {
    tokio::task::yield_now().await;
    Ok(name.len())
}

#[pglock::advisory("below")]
#[tracing::instrument(ret)]
async fn below_async(name: &str) -> Result<usize, Failure> {
    tokio::task::yield_now().await;
    Ok(name.len())
}

fn main() {
    let _ = (above, below, above_async, below_async);
}
