#[pglock::limit(3, "sms", shared)]
fn shared() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(3, "sms", xact)]
fn xact() -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::limit(3, "sms", client = client)]
fn client(client: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = client;
    Ok(())
}

#[pglock::limit(3, "sms", side_effect = Skip)]
fn never_skips() -> Result<(), pglock::Error> {
    Ok(())
}

struct Sender;

impl Sender {
    #[pglock::limit(3)]
    fn without_an_id(&self) -> Result<(), pglock::Error> {
        Ok(())
    }
}

fn main() {}
