#[pglock::prioritize]
fn job(conn: &mut postgres::Client) {
    let _ = conn;
}

fn main() {}
