#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory]
async fn report() -> Result<(), Failure> {
    tokio::task::yield_now().await;
    Ok(())
}

#[pglock::advisory("count", timeout = 0, side_effect = Skip)]
async fn count(names: Vec<String>, suffix: &str) -> Result<Option<usize>, pglock::Error> {
    tokio::task::yield_now().await;
    Ok(Some(names.len() + suffix.len()))
}

fn main() {
    let _ = (report, count);
}
