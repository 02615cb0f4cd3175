#[pglock::prioritize]
struct Job;

fn main() {}
