struct Job {
    customer: u32,
}

#[pglock::advisory("report:{job.custmer}")]
fn report(job: &Job) -> Result<u32, pglock::Error> {
    Ok(job.customer)
}

fn main() {}
