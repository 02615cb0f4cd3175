struct Job;

#[pglock::advisory("job")]
impl Job {
    fn run(&self) {}
}

fn main() {
    Job.run();
}
