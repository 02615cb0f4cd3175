#[pglock::timeout("3s")]
fn job(conn: &mut postgres::Client) {
    let _ = conn;
}

fn main() {}
