#[pglock::advisory("report")]
async fn report() -> Result<tokio::task::JoinHandle<()>, pglock::Error> {
    Ok(tokio::spawn(async {}))
}

fn main() {
    let _ = report;
}
