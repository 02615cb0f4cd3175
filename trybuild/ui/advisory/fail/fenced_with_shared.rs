#[pglock::advisory("ledger", shared, fenced)]
fn post() -> Result<u64, pglock::Error> {
    pglock::token()
}

#[pglock::advisory("ledger", fenced = true, shared = true, once_in = "55m")]
async fn post_async() -> Result<u64, pglock::Error> {
    pglock::token()
}

fn main() {}
