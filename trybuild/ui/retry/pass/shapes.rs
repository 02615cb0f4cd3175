#![deny(warnings, clippy::pedantic)]

use std::sync::Arc;

use pglock::retry;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[retry]
fn plain(client: &mut postgres::Client) -> Result<(), AnyError> {
    Ok(client.batch_execute("SELECT 1")?)
}

const TRIES: u32 = 7;

#[retry(
    tries = TRIES,
    longest = "2s",
    unbounded_last,
    prioritize_from = 3,
    side_effect = pglock::Terminate::new().filter(filter)?,
    using = &database,
    client = client,
)]
fn all_options<T: Clone>(
    client: &mut postgres::Client,
    filter: &str,
    (first, second): (T, Arc<T>),
    database: pglock::Database,
    done: &mut Vec<T>,
    _unused: String,
    #[cfg(any())] absent: String,
    #[cfg(all())] there: String,
) -> Result<T, AnyError> {
    client.batch_execute("SELECT 1")?;
    done.push(first);
    drop((database, there));
    Ok(T::clone(&second))
}

#[retry(tries = 2, prioritize_from = 2, on_error = Panic)]
fn of_its_own_error(client: &mut postgres::Client) -> Result<i32, postgres::Error> {
    Ok(client.query_one("SELECT 1", &[])?.get(0))
}

#[retry(on_error = |error| Err(Box::new(error)))]
fn of_a_box(client: &mut postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
    Ok(client.batch_execute("SELECT 1")?)
}

struct Migrations {
    db: postgres::Client,
    applied: Vec<String>,
}

impl Migrations {
    #[retry(client = self.db)]
    #[pglock::timeout("3s", client = self.db)]
    fn apply(&mut self, name: String, _at: String) -> Result<usize, AnyError> {
        self.db.batch_execute(&name)?;
        self.applied.push(name);
        Ok(self.applied.len())
    }

    #[pglock::advisory("migrations")]
    #[retry(client = client, side_effect = Cancel, prioritize_from = 41)]
    fn named<'a>(&'a self, client: &mut postgres::Client) -> Result<&'a str, AnyError> {
        client.batch_execute("SELECT 1")?;
        Ok(&self.applied[0])
    }

}

struct Plan;

impl Plan {
    #[retry(client = client)]
    #[pglock::advisory("{name}", client = client)]
    async fn in_a_task(
        &self,
        client: &mut tokio_postgres::Client,
        name: String,
        done: &mut Vec<String>,
    ) -> Result<(), AnyError> {
        client.batch_execute("SELECT 1").await?;
        done.push(name);
        Ok(())
    }

    /// A prioritized section with a timeout of its own.
    #[retry]
    #[pglock::prioritize(timeout = "10s")]
    async fn prioritized(client: &mut tokio_postgres::Client) -> Result<impl Sized, AnyError> {
        client.batch_execute("SELECT 1").await?;
        Ok(1)
    }
}

fn is_send<T: Send>(_: &T) {}

#[allow(dead_code)]
fn futures(plan: &Plan, client: &mut tokio_postgres::Client) {
    is_send(&plan.in_a_task(client, String::new(), &mut Vec::new()));
    is_send(&Plan::prioritized(client));
}

fn main() {
    let _ = (plain, all_options::<u8>, of_its_own_error, of_a_box);
    let _ = (Migrations::apply, Migrations::named);
}
