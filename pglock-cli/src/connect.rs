//! Where the command connects, and its session there.

use pglock::{Database, DatabaseConfig};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::args::Global;
use crate::config::Config;
use crate::failure::Failure;
use crate::wording;

/// What the command's own session is like: it must not wait for a lock that it is asked about, nor run for long.
const SETTINGS: &str = "SET lock_timeout = '1s'; SET statement_timeout = '10s'";

/// What only looks must not be able to do more.
const READ_ONLY: &str = "; SET default_transaction_read_only = on";

/// The database that the command line, the environment or the file names.
pub(crate) fn database(
    global: &Global,
    config: &Config,
    command: &str,
) -> Result<Database, Failure> {
    let (config, place) = match config.named(global)? {
        Some(named) => match config.url_of(named) {
            Some(url) => (
                DatabaseConfig::from(url),
                format!("the database `{named}` of pglock.toml: "),
            ),
            None if looks_like_a_name(named) => return Err(unknown(named, config)),
            None => (DatabaseConfig::from(named), String::new()),
        },
        // The library says of which variable it is.
        None => (DatabaseConfig::from_env(), String::new()),
    };
    let builder = Database::builder(config).application_name(command);
    let wrong = |error| Failure::new(format!("{place}{}", wording::told(&error)));
    builder.build().map_err(wrong)
}

/// What else it may be is read by the library, which shows nothing of it: a URL that lacks its beginning has a password.
fn looks_like_a_name(named: &str) -> bool {
    let fits = |char: char| char.is_alphanumeric() || "-_.".contains(char);
    named.chars().all(fits)
}

fn unknown(name: &str, config: &Config) -> Failure {
    let known = config.databases();
    let known = if known.is_empty() {
        String::new()
    } else {
        format!(", which has {}", known.join(", "))
    };
    Failure::new(format!(
        "there is no database `{name}` in pglock.toml{known}; write its url there, or pass a url"
    ))
}

pub(crate) async fn to_look(database: &Database) -> Result<Client, Failure> {
    session(database, &format!("{SETTINGS}{READ_ONLY}")).await
}

pub(crate) async fn to_act(database: &Database) -> Result<Client, Failure> {
    session(database, SETTINGS).await
}

async fn session(database: &Database, settings: &str) -> Result<Client, Failure> {
    let client = database.connect_async().await?;
    client.batch_execute(settings).await.map_err(|error| {
        Failure::new(format!(
            "the server refused the settings of this session: {}",
            said(&error)
        ))
    })?;
    Ok(client)
}

/// Asks in one message, with the types of the values: behind a pooler in transaction mode a statement that was prepared
/// before may be on another session.
pub(crate) async fn rows(
    client: &Client,
    sql: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>, Failure> {
    let rows = client.query_typed(sql, values).await;
    rows.map_err(|error| Failure::new(said(&error)))
}

/// The same for what is always answered with a row.
pub(crate) async fn row(
    client: &Client,
    sql: &str,
    values: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Row, Failure> {
    let rows = rows(client, sql, values).await?;
    let none = || Failure::new("the server sent no answer");
    rows.into_iter().next().ok_or_else(none)
}

/// What the server said, without the driver's words.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => error.to_string(),
    }
}

/// Runs a command's IO on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    runtime.block_on(future)
}

#[cfg(test)]
mod tests {
    use pglock_tests::database;

    use super::*;

    #[test]
    fn who_looks_can_change_nothing_and_waits_and_runs_for_moments() {
        let db = database();
        let settings = |looks: bool| -> (bool, String, String) {
            let asked = block_on(async {
                let database = Database::builder(db.url()).build()?;
                let client = if looks {
                    to_look(&database).await?
                } else {
                    to_act(&database).await?
                };
                let changed = client.batch_execute("CREATE TABLE orders ()").await;
                let sql =
                    "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')";
                let row = row(&client, sql, &[]).await?;
                Ok((changed.is_ok(), row.get(0), row.get(1)))
            });
            asked.expect("the server answers")
        };
        let expected = |changed| (changed, "1s".to_owned(), "10s".to_owned());
        assert_eq!(settings(true), expected(false));
        assert_eq!(settings(false), expected(true));
    }
}
