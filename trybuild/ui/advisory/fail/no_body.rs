trait Job {
    #[pglock::advisory("job")]
    fn run(&self) -> Result<(), pglock::Error>;
}

fn main() {}
