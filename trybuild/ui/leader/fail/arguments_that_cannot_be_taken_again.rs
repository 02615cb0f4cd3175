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

#[pglock::leader("in a pattern")]
async fn in_a_pattern((mut first, second): (String, String)) -> Result<(), pglock::Error> {
    first.push_str(&second);
    Ok(())
}

#[pglock::leader(lock_id = name, using = database)]
async fn taken_by_options(name: String, database: pglock::Database) -> Result<(), pglock::Error> {
    let _ = (name, database);
    Ok(())
}

fn main() {}
