#[pglock::advisory("report")]
struct Report {
    name: String,
}

fn main() {}
