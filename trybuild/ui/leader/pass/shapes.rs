#![deny(warnings, clippy::pedantic)]

use std::sync::Arc;

use pglock::leader;

#[leader("{shard}-{name}", using = "reports", restart = "500ms", restart_on_error)]
async fn generic<T: Clone + Send>(shard: u32, name: &str, (a, b): (T, Arc<T>)) -> Result<T, pglock::Error> {
    let _ = (shard, name, b);
    Ok(a)
}

#[leader("nothing", on_error = |error| println!("{error}"))]
async fn nothing() {}

/// Can be cloned and sent, and not shared.
#[leader("not sync", using = &database, on_error = Panic)]
async fn not_sync(cell: std::cell::Cell<u8>, database: pglock::Database) -> Result<(), String> {
    cell.set(1);
    drop(database);
    Ok(())
}

struct Scheduler;

impl Scheduler {
    #[leader("scheduler")]
    #[pglock::advisory("inner")]
    async fn run(&self, pool: Arc<String>) -> anyhow_like::Result {
        let _ = (self, pool);
        Ok(())
    }
}

mod anyhow_like {
    pub type Result = std::result::Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

fn is_send<T: Send>(_: &T) {}

fn main() {
    is_send(&generic(1, "a", (1, Arc::new(2))));
    is_send(&nothing());
    let database = pglock::Database::builder("postgres://app@localhost/app").build();
    is_send(&not_sync(std::cell::Cell::new(0), database.unwrap()));
    is_send(&Scheduler.run(Arc::default()));
}
