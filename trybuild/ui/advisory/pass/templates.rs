#![deny(warnings)]

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory("invoices:{tenant}:{month}")]
fn two(tenant: &str, month: u8) -> Result<usize, Failure> {
    Ok(tenant.len() + usize::from(month))
}

#[pglock::advisory(lock_id = "{{{name}}}")]
async fn escaped(name: String) -> Result<String, Failure> {
    Ok(name)
}

#[pglock::advisory("{value}")]
fn generic<T: std::fmt::Display>(value: T) -> Result<T, Failure> {
    Ok(value)
}

#[pglock::advisory("{type}:{größe}")]
fn raw(r#type: u8, größe: u8) -> Result<u8, Failure> {
    Ok(r#type + größe)
}

struct Job;

impl Job {
    #[pglock::advisory("job:{id}")]
    fn run(&self, mut id: u32) -> Result<u32, Failure> {
        id += 1;
        Ok(id)
    }
}

fn main() {
    let _ = (two, escaped, generic::<u8>, raw, Job::run);
}
