#![deny(warnings)]

use postgres::Client;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Pool {
    clients: Vec<Client>,
}

struct Job {
    db: Client,
    pool: Pool,
    boxed: Box<Client>,
    runs: u32,
    name: String,
}

impl Job {
    #[pglock::advisory("field", client = self.db)]
    fn field(&mut self, note: String) -> Result<String, Failure> {
        self.db.execute("SELECT 1", &[])?;
        self.runs += 1;
        self.method(&note);
        Ok(note)
    }

    #[pglock::advisory("tagged-{tag}", client = self.db)]
    fn tagged(&mut self, tag: String, _guard: Vec<u8>, _: String) -> Result<u32, Failure> {
        self.runs += 1;
        Ok(self.runs)
    }

    fn method(&mut self, note: &str) {
        self.name.push_str(note);
    }

    #[pglock::advisory("nested", client = self.pool.clients[0])]
    fn nested(&mut self) -> Result<u32, Failure> {
        Ok(self.runs)
    }

    #[pglock::advisory("dereferenced", client = *self.boxed)]
    fn dereferenced(&mut self) -> Result<u64, Failure> {
        Ok(self.boxed.execute("SELECT 1", &[])?)
    }

    #[pglock::advisory("borrowed", client = self.db)]
    fn borrowed(&mut self) -> Result<&mut u32, Failure> {
        self.db.execute("SELECT 1", &[])?;
        Ok(&mut self.runs)
    }

    #[pglock::advisory("owned", client = self.db, timeout = 0, side_effect = Skip(None), on_error = Panic)]
    fn owned(mut self) -> Option<String> {
        self.db.execute("SELECT 1", &[]).ok()?;
        Some(self.name)
    }
}

struct Two {
    db: Client,
    runs: u32,
}

impl Two {
    #[pglock::advisory("outer", client = self.db)]
    #[pglock::advisory("own")]
    fn around(&mut self, name: String) -> Result<u32, Failure> {
        self.runs += 1;
        Ok(self.runs + name.len() as u32)
    }

    #[pglock::advisory("own")]
    #[pglock::advisory("a", client = self.db)]
    #[pglock::advisory("b", client = other.db)]
    fn two(mut self, mut other: Two, name: String) -> Result<u32, Failure> {
        other.runs += 1;
        Ok(self.runs + other.runs + name.len() as u32)
    }
}

struct Borrowed<'c> {
    conn: &'c mut Client,
}

impl Borrowed<'_> {
    #[pglock::advisory("borrowed", client = *self.conn)]
    fn run(&mut self) -> Result<u64, Failure> {
        Ok(self.conn.execute("SELECT 1", &[])?)
    }
}

#[pglock::advisory("argument", client = **client)]
fn argument(client: &mut Box<Client>) -> Result<u64, Failure> {
    Ok(client.execute("SELECT 1", &[])?)
}

fn main() {
    let _ = Borrowed::run;
    let _ = (Job::field, Job::tagged, Job::nested, Job::dereferenced, Job::borrowed, Job::owned, argument);
}
