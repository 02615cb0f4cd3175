type BoxStream<'a, T> = std::pin::Pin<Box<dyn Iterator<Item = T> + 'a>>;

#[pglock::advisory("report")]
async fn report(names: &[String]) -> Result<BoxStream<'_, &String>, pglock::Error> {
    Ok(Box::pin(names.iter()))
}

fn main() {
    let _ = report;
}
