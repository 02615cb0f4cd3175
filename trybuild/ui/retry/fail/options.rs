#![allow(unused_variables, unused_mut)]

use postgres::Client;

type Result = std::result::Result<(), pglock::Error>;

#[pglock::retry(5)]
fn without_a_name(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(unbounded)]
fn without_its_end(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(trys = 3)]
fn misspelled(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(tries = 0)]
fn no_tries(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(tries = "5")]
fn tries_in_quotes(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(tries = -1)]
fn negative_tries(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(tries = 5_000_000_000)]
fn more_tries_than_a_u32(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(attempts = 5)]
fn by_another_name(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(longest = 0)]
fn no_limit(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(longest = None)]
fn none(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(longest = 2s)]
fn without_quotes(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(timeout = "2s")]
fn timeout(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(interval = "2s", periodic = false)]
fn of_prioritize(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(unbounded_last = "yes")]
fn not_a_flag(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(side_effect = Cancel)]
fn side_effect_of_no_try(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(prioritize_from = 2, side_effect = Skip)]
fn side_effect_of_advisory(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(prioritize_from = 0)]
fn counted_from_zero(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(tries = 5, prioritize_from = 6)]
fn after_the_last(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(prioritize_from = 42)]
fn after_the_last_of_the_default(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry(tries = 5, tries = 6)]
fn twice(client: &mut Client) -> Result {
    Ok(())
}

#[pglock::retry]
#[pglock::prioritize]
fn before_the_first_poll(client: &mut Client) -> Result {
    Ok(())
}

fn main() {}
