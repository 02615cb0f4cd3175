#[pglock::timeout("3s")]
struct Job;

fn main() {}
