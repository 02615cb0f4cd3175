#![allow(unused_variables, unused_mut)]

use postgres::Client;

struct Migrations;

impl Migrations {
    #[pglock::retry]
    fn by_value(self, client: &mut Client) -> Result<(), pglock::Error> {
        Ok(())
    }

    #[pglock::retry]
    fn by_mutable_reference(&mut self, client: &mut Client) -> Result<(), pglock::Error> {
        Ok(())
    }
}

#[pglock::retry]
fn mutable(client: &mut Client, mut names: Vec<String>) -> Result<(), pglock::Error> {
    names.clear();
    Ok(())
}

#[pglock::retry(using = database, prioritize_from = 2, side_effect = side_effect)]
fn taken(
    client: &mut Client,
    database: pglock::Database,
    side_effect: pglock::Terminate,
) -> Result<(), pglock::Error> {
    let _ = (database, side_effect);
    Ok(())
}

#[pglock::retry]
fn no_connection(client: &Client) -> Result<(), pglock::Error> {
    Ok(())
}

#[pglock::retry]
fn returns_nothing(client: &mut Client) {}

struct Migrator {
    db: Client,
}

impl Migrator {
    #[pglock::retry]
    fn place_without_a_client(&mut self) -> Result<(), pglock::Error> {
        let _ = &mut self.db;
        Ok(())
    }
}

fn main() {}
