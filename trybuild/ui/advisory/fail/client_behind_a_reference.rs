use std::ops::{Deref, DerefMut};

use postgres::Client;

struct Job<'c> {
    conn: &'c mut Client,
}

impl Job<'_> {
    #[pglock::advisory("job", client = self.conn)]
    fn run(&mut self) -> Result<(), pglock::Error> {
        Ok(())
    }
}

struct Pooled(Client);

impl Deref for Pooled {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.0
    }
}

#[pglock::advisory("report", client = conn)]
fn report(conn: &mut Pooled) -> Result<(), pglock::Error> {
    let _ = conn;
    Ok(())
}

fn main() {
    let _ = (report, Job::run);
}
