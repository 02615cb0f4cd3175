#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Job {
    database: pglock::Database,
}

impl Job {
    #[pglock::advisory("job", using = &self.database)]
    async fn run(&self) -> Result<(), Failure> {
        Ok(())
    }
}

#[pglock::advisory("name", using = "reports")]
fn name() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("handle", using = database, timeout = 1, shared)]
fn handle(database: &pglock::Database) -> Result<(), Failure> {
    Ok(())
}

fn main() {
    let _ = (name, handle, Job::run);
}
