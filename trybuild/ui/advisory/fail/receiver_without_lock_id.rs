struct Job;

impl Job {
    #[pglock::advisory]
    fn run(&mut self) -> Result<(), pglock::Error> {
        Ok(())
    }
}

fn main() {}
