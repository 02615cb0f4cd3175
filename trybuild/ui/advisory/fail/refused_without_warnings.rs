#![deny(warnings)]

// Each argument is used by the attribute only, which does nothing once it is refused.

#[pglock::advisory("account-{from}", side_effect = Skip)]
fn transfer(from: u32) -> Result<(), pglock::Error> {
    Ok(())
}

struct Job;

impl Job {
    #[pglock::advisory("account-{part.0}-{to}", once = "1h")]
    async fn run(&self, part: (u32,), to: u32) -> Result<(), pglock::Error> {
        Ok(())
    }
}

fn main() {
    let _ = (transfer, Job::run);
}
