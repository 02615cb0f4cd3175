struct Job {
    db: tokio_postgres::Client,
}

impl Job {
    #[pglock::advisory("job", client = self.db)]
    async fn run(&mut self) -> Result<(), pglock::Error> {
        let _ = &self.db;
        Ok(())
    }
}

fn main() {}
