#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("used", client = client)]
fn used(client: &mut postgres::Client, name: &str) -> Result<u64, Failure> {
    let client: &mut postgres::Client = client;
    Ok(client.execute(name, &[])?)
}

#[pglock::advisory("passed on", client = client)]
fn passed_on(client: &mut postgres::Client) -> Result<u64, Failure> {
    used(client, "a")?;
    used(client, "b")
}

#[pglock::advisory("not used", client = client, timeout = 0, side_effect = Skip)]
fn not_used(client: &mut postgres::Client) -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("skipped", client = client, timeout = 0, side_effect = Skip(Ok(client.execute("SELECT 1", &[])?)))]
fn used_when_skipped(client: &mut postgres::Client) -> Result<u64, Failure> {
    Ok(1)
}

#[pglock::advisory("default", client = client)]
fn template<'a>(client: &mut postgres::Client, id: &'a str) -> Result<&'a str, Failure> {
    client.execute(id, &[])?;
    Ok(id)
}

#[pglock::advisory("template:{id}", client = client, on_error = Panic)]
fn infallible(id: u8, client: &mut postgres::Client) -> u8 {
    let _ = client.is_closed();
    id
}

#[pglock::advisory(client = client)]
fn default_id(client: &mut postgres::Client) -> Result<(), pglock::Error> {
    let _ = client;
    Ok(())
}

fn main() {
    let _ = (used, passed_on, not_used, used_when_skipped, template, infallible, default_id);
}
