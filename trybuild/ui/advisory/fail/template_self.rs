struct Job;

impl Job {
    #[pglock::advisory("job:{self}")]
    fn run(&self) -> Result<(), pglock::Error> {
        Ok(())
    }
}

fn main() {}
