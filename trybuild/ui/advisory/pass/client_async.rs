#![deny(warnings)]

use tokio_postgres::Client;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("used", client = client)]
async fn used(client: &mut Client, name: &str) -> Result<u64, Failure> {
    Ok(client.execute(name, &[]).await?)
}

#[pglock::advisory("passed on", client = client)]
async fn passed_on(client: &mut Client) -> Result<u64, Failure> {
    used(client, "a").await?;
    used(client, "b").await
}

#[pglock::advisory("not used", client = client, timeout = 0, side_effect = Skip)]
async fn not_used(client: &mut Client) -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("skipped", client = client, timeout = 0, side_effect = Skip(Ok(client.execute("SELECT 1", &[]).await?)))]
async fn used_when_skipped(client: &mut Client) -> Result<u64, Failure> {
    Ok(1)
}

#[pglock::advisory("on error", client = client, on_error = |_| 0)]
async fn infallible(client: &mut Client) -> u8 {
    u8::from(client.is_closed())
}

struct Job {
    runs: u32,
}

impl Job {
    #[pglock::advisory("job", client = client)]
    async fn run(&mut self, client: &mut Client) -> Result<&mut u32, Failure> {
        client.execute("SELECT 1", &[]).await?;
        self.runs += 1;
        Ok(&mut self.runs)
    }
}

fn main() {
    let _ = (used, passed_on, not_used, used_when_skipped, infallible, Job::run);
}
