use postgres::Client;

#[pglock::advisory(client = conn)]
fn report<'c>(mut conn: &'c mut Client, other: &'c mut Client) -> Result<bool, pglock::Error> {
    if conn.is_closed() {
        conn = other;
    }
    Ok(conn.is_closed())
}

fn main() {}
