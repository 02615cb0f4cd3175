fn main() {
    let limit = || pglock::limit(3, "sms");
    let _ = limit().shared();
    let _ = limit().fenced();
    let _ = limit().xact();
}

fn on_a_connection(client: &mut postgres::Client) {
    let _ = pglock::limit(3, "sms").on(client);
}
