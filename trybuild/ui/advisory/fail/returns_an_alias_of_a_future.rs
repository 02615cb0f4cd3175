type Reporting = std::pin::Pin<Box<dyn Future<Output = Result<(), pglock::Error>>>>;

#[pglock::advisory("report", on_error = |error| Box::pin(async { Err(error) }))]
fn report() -> Reporting {
    Box::pin(async { Ok(()) })
}

fn main() {
    let _ = report;
}
