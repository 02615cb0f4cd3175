//! Generated code is silent: nothing here is allowed that a user could have denied.
//!
//! That this compiles is the test; `cargo clippy` is the other half of it.
#![forbid(unsafe_code)]
#![deny(
    warnings,
    future_incompatible,
    keyword_idents,
    let_underscore,
    nonstandard_style,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    unused,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unreachable_pub,
    unused_crate_dependencies,
    unused_import_braces,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![deny(clippy::all, clippy::pedantic, clippy::nursery, clippy::cargo)]
#![allow(unused_crate_dependencies, clippy::cargo)]

use std::fmt::Display;
use std::time::Duration;

use pglock::{Database, Error, advisory};
use postgres::{Client, Transaction};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[pglock::advisory]
fn default_id() -> Result<(), Error> {
    Ok(())
}

/// The compiler calls braces around one line unnecessary.
#[rustfmt::skip]
#[pglock::advisory]
async fn one_line_async(_name: String) -> Result<(), Error> { Ok(()) }

#[rustfmt::skip]
#[pglock::advisory]
fn one_line(_name: String) -> Result<(), Error> { Ok(()) }

#[pglock::advisory]
async fn default_id_async() -> Result<(), Error> {
    tokio::task::yield_now().await;
    Ok(())
}

#[pglock::advisory("{name}:{number}", shared, timeout = "2s", using = database)]
fn options(database: &Database, name: &str, number: u8) -> Result<usize, Failure> {
    Ok(name.len() + usize::from(number))
}

#[pglock::advisory("{name:?}:{number:03}:{number:x}:{pair.0}:{N}")]
fn formats<const N: usize>(name: &str, number: u8, pair: (u8, String)) -> Result<[u8; N], Failure> {
    drop(pair);
    Ok([number + u8::from(name.is_empty()); N])
}

#[pglock::advisory("{name}")]
fn taken_by_value(name: String) -> Result<Vec<u8>, Failure> {
    Ok(name.into_bytes())
}

#[pglock::advisory("{name}")]
fn not_looked_at(name: String, _guard: Vec<u8>, _: String) -> Result<u8, Failure> {
    const ONE: u8 = 1;
    Ok(ONE)
}

#[pglock::advisory("{mode}", on_error = |error| error.to_string().len() + names.len())]
async fn in_options(mode: String, mut parts: Vec<u8>, names: Vec<u8>) -> usize {
    tokio::task::yield_now().await;
    parts.push(1);
    parts.len()
}

#[pglock::advisory("skip", timeout = 0, side_effect = Skip)]
fn skip() -> Result<Option<u8>, Failure> {
    Ok(Some(1))
}

#[pglock::advisory("skip", timeout = Duration::from_secs(1), side_effect = Skip(Ok(0)))]
async fn skip_value() -> Result<u8, Failure> {
    tokio::task::yield_now().await;
    Ok(1)
}

#[pglock::advisory("panic", on_error = Panic)]
fn on_error_panic() {
    drop(skip());
}

#[pglock::advisory("unit", on_error = |error| eprintln!("{error}"))]
async fn on_error_closure() {
    tokio::task::yield_now().await;
}

fn zero(error: Error) -> u8 {
    drop(error);
    0
}

#[pglock::advisory("function", on_error = zero)]
fn on_error_function() -> u8 {
    1
}

#[pglock::advisory("session", client = client)]
fn on_a_session(client: &mut Client) -> Result<u64, Failure> {
    Ok(client.execute("SELECT 1", &[])?)
}

#[pglock::advisory("session", client = client)]
async fn on_a_session_async(client: &mut tokio_postgres::Client) -> Result<u64, Failure> {
    Ok(client.execute("SELECT 1", &[]).await?)
}

#[pglock::advisory("transaction", client = tx, xact)]
fn in_a_transaction(tx: &mut Transaction<'_>) -> Result<u64, Failure> {
    Ok(tx.execute("SELECT 1", &[])?)
}

#[pglock::advisory("transaction", client = tx, xact)]
async fn in_a_transaction_async(tx: &mut tokio_postgres::Transaction<'_>) -> Result<u64, Failure> {
    Ok(tx.execute("SELECT 1", &[]).await?)
}

/// A connection need not be looked at: the lock is on it.
#[pglock::advisory("not used", client = client, on_error = Panic)]
fn connection_not_used(client: &mut Client) {}

#[pglock::advisory("not used", client = client, on_error = Panic)]
async fn connection_not_used_async(client: &mut tokio_postgres::Client) {
    tokio::task::yield_now().await;
}

#[pglock::advisory("outer")]
#[advisory("inner")]
fn nested() -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("opaque")]
fn opaque(text: &str) -> Result<impl Iterator<Item = char>, Failure> {
    Ok(text.chars())
}

#[pglock::advisory("generic")]
async fn generic<T: Display + Send>(value: T) -> Result<String, Failure> {
    tokio::task::yield_now().await;
    if value.to_string().is_empty() {
        return Ok(String::new());
    }
    Ok(value.to_string())
}

struct Job {
    db: Client,
    runs: u64,
}

impl Job {
    #[pglock::advisory("job", client = self.db)]
    fn place(&mut self) -> Result<u64, Failure> {
        self.runs += self.db.execute("SELECT 1", &[])?;
        Ok(self.runs)
    }

    #[pglock::advisory("job:{name}", client = self.db)]
    fn arguments_on_a_place(
        &mut self,
        name: String,
        mut changed: Vec<u8>,
        copied: Option<&str>,
        (left, _right): (u8, Vec<u8>),
        _guard: Vec<u8>,
        _: String,
    ) -> Result<Vec<u8>, Failure> {
        self.runs += self.db.execute("SELECT 1", &[])?;
        changed.push(left);
        changed.extend(copied.map(str::len).map(u8::try_from).transpose()?);
        changed.extend_from_slice(name.as_bytes());
        Ok(changed)
    }

    #[expect(unused_mut, unused_variables)]
    #[pglock::advisory("job", client = self.db)]
    fn unchanged_on_a_place(
        &mut self,
        mut unchanged: Vec<u8>,
        unused: Vec<u8>,
        by_value: Vec<u8>,
    ) -> Result<usize, Failure> {
        Ok(unchanged.len() + by_value.len())
    }

    #[pglock::advisory("job")]
    fn borrowed(&mut self) -> Result<&mut u64, Failure> {
        self.runs += 1;
        Ok(&mut self.runs)
    }
}

struct Counter {
    runs: u64,
}

impl Counter {
    #[pglock::advisory("counter")]
    #[must_use = "it says how often"]
    async fn borrowed_async(&self) -> Result<&u64, Failure> {
        tokio::task::yield_now().await;
        Ok(&self.runs)
    }
}

// What the user's own code does is still said.

#[expect(dead_code)]
#[pglock::advisory("never called")]
fn never_called() -> Result<(), Failure> {
    Ok(())
}

#[expect(unused_variables)]
#[pglock::advisory("arguments")]
fn unused_arguments(name: &str, count: u8) -> Result<(), Failure> {
    Ok(())
}

#[expect(unused_variables)]
#[pglock::advisory("arguments")]
async fn unused_owned_argument(name: String) -> Result<(), Failure> {
    Ok(())
}

#[pglock::advisory("locals")]
#[expect(unused_variables, unused_mut)]
async fn unused_locals() -> Result<(), Failure> {
    let mut unused = 1;
    Ok(())
}

#[pglock::advisory("unreachable")]
#[expect(unreachable_code)]
fn unreachable() -> Result<(), Failure> {
    return Ok(());
    unimplemented!()
}

#[pglock::advisory("inner")]
fn inner_attributes() -> Result<(), Failure> {
    #![expect(unused_variables)]
    let unused = 1;
    Ok(())
}

// Also by a lint that passes over the code of macros, in whatever the body is in: a closure, an async block, and a block
// behind what takes the arguments.

#[pglock::advisory("lint")]
#[expect(clippy::items_after_statements)]
fn lint_in_a_body() -> Result<u8, Failure> {
    drop(skip());
    const ONE: u8 = 1;
    Ok(ONE)
}

#[pglock::advisory("lint")]
#[expect(clippy::items_after_statements)]
fn lint_in_a_body_with_arguments(numbers: Vec<u8>) -> Result<u8, Failure> {
    drop(numbers);
    const ONE: u8 = 1;
    Ok(ONE)
}

#[pglock::advisory("lint")]
#[expect(clippy::items_after_statements)]
async fn lint_in_an_async_body() -> Result<u8, Failure> {
    tokio::task::yield_now().await;
    const ONE: u8 = 1;
    Ok(ONE)
}

#[test]
fn functions_are_used() {
    let _ = (
        default_id,
        default_id_async,
        one_line,
        one_line_async,
        options,
        formats::<1>,
        taken_by_value,
        not_looked_at,
        in_options,
        skip,
    );
    let _ = (
        skip_value,
        on_error_panic,
        on_error_closure,
        on_error_function,
    );
    let _ = (
        on_a_session,
        on_a_session_async,
        in_a_transaction,
        in_a_transaction_async,
    );
    let _ = (
        connection_not_used,
        connection_not_used_async,
        nested,
        opaque,
        generic::<u8>,
    );
    let _ = (Job::place, Job::borrowed, Counter::borrowed_async);
    let _ = (Job::arguments_on_a_place, Job::unchanged_on_a_place);
    let _ = (
        unused_arguments,
        unused_owned_argument,
        unused_locals,
        unreachable,
        inner_attributes,
        lint_in_a_body,
        lint_in_a_body_with_arguments,
        lint_in_an_async_body,
    );
}
