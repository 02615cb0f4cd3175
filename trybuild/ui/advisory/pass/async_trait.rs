#![deny(warnings)]

use async_trait::async_trait;
use pglock::advisory as lock;
use tokio_postgres::Client;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[async_trait]
trait Job: Send + Sync {
    async fn run(&self, name: &str) -> Result<usize, Failure>;

    async fn skipped(&mut self, count: u32) -> Result<Option<u32>, Failure>;

    async fn on_a_connection(&self, client: &mut Client) -> Result<u64, Failure>;

    async fn by_value(self: Box<Self>, mut parts: Vec<u8>) -> Result<Vec<u8>, Failure>;

    async fn nothing();

    fn plain(&self) -> Result<u8, Failure>;

    #[pglock::advisory("provided", hold_at_most = "10s")]
    async fn provided(&self) -> Result<(), Failure> {
        self.plain()?;
        Ok(())
    }
}

struct Report {
    id: u32,
    runs: u32,
}

#[async_trait]
impl Job for Report {
    #[pglock::advisory("report-{self.id}:{name}", hold_at_most = "10s")]
    async fn run(&self, name: &str) -> Result<usize, Failure> {
        tokio::task::yield_now().await;
        if self.runs == 0 {
            return Err("never".into());
        }
        Ok(name.len())
    }

    #[pglock::advisory(lock_id = self.id, timeout = 0, side_effect = Skip)]
    #[lock("count-{count}")]
    async fn skipped(&mut self, count: u32) -> Result<Option<u32>, Failure> {
        self.runs += count;
        Ok(Some(self.runs))
    }

    #[pglock::advisory("client", client = client)]
    #[pglock::timeout("3s", client = client)]
    async fn on_a_connection(&self, client: &mut Client) -> Result<u64, Failure> {
        Ok(client.execute("SELECT 1", &[]).await?)
    }

    #[pglock::advisory("value")]
    async fn by_value(self: Box<Self>, mut parts: Vec<u8>) -> Result<Vec<u8>, Failure> {
        parts.push(1);
        Ok(parts)
    }

    #[pglock::advisory("nothing", on_error = Panic)]
    async fn nothing() {
        tokio::task::yield_now().await;
    }

    #[pglock::advisory("plain")]
    fn plain(&self) -> Result<u8, Failure> {
        Ok(1)
    }
}

fn assert_send<T: Send>(_: T) {}

fn main() {
    let report = Report { id: 1, runs: 2 };
    assert_send(report.run("name"));
    let _ = (Report::nothing, Report::plain);
}
