struct Scheduler;

impl Scheduler {
    #[pglock::leader("by value")]
    async fn by_value(self) -> Result<(), pglock::Error> {
        Ok(())
    }

    #[pglock::leader("by mutable reference")]
    async fn by_mutable_reference(&mut self) -> Result<(), pglock::Error> {
        Ok(())
    }

    #[pglock::leader]
    async fn without_an_id(&self) -> Result<(), pglock::Error> {
        Ok(())
    }
}

#[pglock::leader("mutable")]
async fn mutable(mut names: Vec<String>) -> Result<(), pglock::Error> {
    names.clear();
    Ok(())
}

fn main() {}
