struct Job;

impl Job {
    #[pglock::advisory(side_effect = Skip)]
    const fn run(&self) {}
}

fn main() {
    Job.run();
}
