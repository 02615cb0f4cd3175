#[pglock::advisory("report")]
fn report() -> ! {
    loop {}
}

fn main() {}
