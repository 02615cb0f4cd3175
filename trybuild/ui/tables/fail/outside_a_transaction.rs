fn lock(client: &mut postgres::Client) -> Result<(), pglock::Error> {
    pglock::table("orders").lock(client)
}

fn main() {}
