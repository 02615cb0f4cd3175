#[pglock::advisory("report")]
mod report {}

fn main() {}
