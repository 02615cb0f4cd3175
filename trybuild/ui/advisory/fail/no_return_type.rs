#[pglock::advisory]
fn report() {
    println!("report");
}

fn main() {}
