struct Job;

impl Job {
    #[pglock::timeout("3s")]
    fn run(&mut self) -> Result<(), pglock::Error> {
        Ok(())
    }
}

fn main() {}
