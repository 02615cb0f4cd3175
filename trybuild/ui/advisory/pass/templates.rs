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

#[derive(Debug)]
struct Job {
    customer: String,
    part: (u8, f32),
}

impl Job {
    #[pglock::advisory("job:{id}")]
    fn run(&self, mut id: u32) -> Result<u32, Failure> {
        id += 1;
        Ok(id)
    }

    #[pglock::advisory("job:{self.customer}:{self.part.0:03}")]
    fn of_self(&mut self) -> Result<u32, Failure> {
        self.customer.clear();
        Ok(1)
    }

    #[pglock::advisory("job:{self}")]
    async fn itself(self) -> Result<String, Failure> {
        Ok(self.customer)
    }
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.customer)
    }
}

#[pglock::advisory("{job.customer:>12}:{job:?}:{job.part.1:.2}")]
fn fields(job: Job) -> Result<String, Failure> {
    Ok(job.customer)
}

#[pglock::advisory("{N:03}:{bytes:?}:{number:#x}:{number:width$}")]
async fn formats<const N: usize>(bytes: [u8; N], number: u32, width: usize) -> Result<usize, Failure> {
    let _ = (bytes, number);
    Ok(width)
}

macro_rules! job {
    ($name:ident, $argument:ident, $id:literal) => {
        #[pglock::advisory($id)]
        fn $name($argument: Job) -> Result<String, Failure> {
            Ok($argument.customer)
        }
    };
}

job!(by_macro_rules, job, "{job.customer}");

macro_rules! hygienic {
    () => {
        #[pglock::advisory("{job.customer}:{job.part.0:02}")]
        fn of_macro_rules(job: Job) -> Result<String, Failure> {
            Ok(job.customer)
        }
    };
}

hygienic!();

fn main() {
    let _ = (two, escaped, generic::<u8>, raw, Job::run, Job::of_self, Job::itself);
    let _ = (fields, formats::<1>, by_macro_rules, of_macro_rules);
}
