trait Stream {}

#[pglock::advisory("report")]
fn report() -> Result<impl Stream, pglock::Error> {
    struct Rows;
    impl Stream for Rows {}
    Ok(Rows)
}

fn main() {
    let _ = report;
}
