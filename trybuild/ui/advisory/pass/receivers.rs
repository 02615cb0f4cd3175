#![deny(warnings)]

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

#[derive(Clone, Default)]
struct Job {
    runs: u32,
    name: String,
}

impl Job {
    #[pglock::advisory("by reference")]
    fn by_reference(&self) -> Result<u32, pglock::Error> {
        Ok(self.runs)
    }

    #[pglock::advisory("by mutable reference")]
    fn by_mutable_reference(&mut self) -> Result<u32, pglock::Error> {
        self.runs += 1;
        Ok(self.runs)
    }

    #[pglock::advisory("by value")]
    fn by_value(mut self) -> Result<Self, pglock::Error> {
        self.runs += 1;
        Ok(self)
    }

    #[pglock::advisory("boxed")]
    fn boxed(self: Box<Self>) -> Result<String, pglock::Error> {
        Ok(self.name)
    }

    #[pglock::advisory("counted")]
    fn counted(self: Rc<Self>) -> Result<u32, pglock::Error> {
        Ok(self.runs)
    }

    #[pglock::advisory("shared")]
    fn shared(self: Arc<Self>) -> Result<u32, pglock::Error> {
        Ok(self.runs)
    }

    #[pglock::advisory("pinned")]
    fn pinned(self: Pin<&mut Self>) -> Result<u32, pglock::Error> {
        self.get_mut().runs += 1;
        Ok(1)
    }

    #[pglock::advisory("by reference")]
    async fn async_by_reference(&self) -> Result<u32, pglock::Error> {
        Ok(self.runs)
    }

    #[pglock::advisory("by mutable reference")]
    async fn async_by_mutable_reference(&mut self) -> Result<u32, pglock::Error> {
        self.runs += 1;
        Ok(self.runs)
    }

    #[pglock::advisory("by value")]
    async fn async_by_value(mut self) -> Result<Self, pglock::Error> {
        self.runs += 1;
        Ok(self)
    }

    #[pglock::advisory("shared")]
    async fn async_shared(self: Arc<Self>) -> Result<u32, pglock::Error> {
        Ok(self.runs)
    }

    #[pglock::advisory("new")]
    fn new() -> Result<Self, pglock::Error> {
        Ok(Self::default())
    }

    #[pglock::advisory]
    fn associated() -> Result<Self, pglock::Error> {
        Self::new()
    }
}

fn main() {
    let _ = (Job::by_reference, Job::by_mutable_reference, Job::by_value, Job::boxed, Job::counted, Job::shared, Job::pinned);
    let _ = (Job::async_by_reference, Job::async_by_mutable_reference, Job::async_by_value, Job::async_shared);
    let _ = (Job::new, Job::associated);
}
