#![deny(warnings)]

trait Job {
    type Output;

    fn run(&mut self) -> Result<Self::Output, pglock::Error>;

    async fn run_async(&self) -> Result<u32, pglock::Error>;

    #[pglock::advisory("provided")]
    fn provided(&self) -> Result<&'static str, pglock::Error>
    where
        Self: Sized,
    {
        Ok("provided")
    }

    fn named() -> Result<Self, pglock::Error>
    where
        Self: Sized;
}

#[derive(Default)]
struct Report(u32);

impl Job for Report {
    type Output = u32;

    #[pglock::advisory("report")]
    fn run(&mut self) -> Result<Self::Output, pglock::Error> {
        self.0 += 1;
        Ok(self.0)
    }

    #[pglock::advisory("report")]
    async fn run_async(&self) -> Result<u32, pglock::Error> {
        Ok(self.0)
    }

    #[pglock::advisory]
    fn named() -> Result<Self, pglock::Error> {
        Ok(Self::default())
    }
}

fn main() {
    let _ = (Report::run, Report::run_async, Report::provided, Report::named);
}
