//! A database per test: advisory locks are per database, so tests don't see each other's.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use postgres::{Client, Config, NoTls};

use crate::apart::apart;
use crate::server::Server;

/// A database for one test, dropped with it, whoever is still connected.
#[derive(Debug)]
pub struct TestDb {
    server_url: String,
    url: String,
    name: String,
    /// The session that looks on: see `observe.rs`. Opened on first use.
    pub(crate) observer: Mutex<Observer>,
}

#[derive(Default)]
pub(crate) struct Observer(pub(crate) Option<Client>);

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Observer")
    }
}

impl TestDb {
    pub(crate) fn create(server: &Server) -> TestDb {
        let server_url = server.url("postgres");
        let name = unique_name();
        // From template0: template1 can't be copied while someone is connected to it.
        let statement = format!("CREATE DATABASE {name} TEMPLATE template0");
        if let Err(error) = on_server(&server_url, &statement) {
            // Not the URL, which may have a password in it.
            panic!("can't create database {name} on the server of the tests: {error:?}");
        }
        TestDb {
            url: server.url(&name),
            server_url,
            name,
            observer: Mutex::default(),
        }
    }

    /// Its URL, for pglock, every driver, and `psql`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A new connection, which can't be used inside a tokio runtime.
    #[must_use]
    #[track_caller]
    pub fn connect(&self) -> Client {
        self.connect_as("pglock-tests")
    }

    /// A new connection, which runs on the runtime that this is called on.
    pub(crate) async fn connect_async(&self) -> tokio_postgres::Client {
        match tokio_postgres::connect(&self.url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                client
            }
            Err(error) => panic!("cannot connect to database {}: {error:?}", self.name),
        }
    }

    /// A new connection with that `application_name`.
    #[must_use]
    #[track_caller]
    pub fn connect_as(&self, application_name: &str) -> Client {
        match connect(&self.url, application_name) {
            Ok(client) => client,
            Err(error) => panic!("can't connect to database {}: {error:?}", self.name),
        }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let observer = self
            .observer
            .get_mut()
            .map(std::mem::take)
            .unwrap_or_default();
        let (server_url, name) = (&self.server_url, &self.name);
        // Best effort: the server may be stopped, and the test may have failed already.
        thread::scope(|scope| {
            let drop_database = move || {
                drop(observer);
                let _ = on_server(
                    server_url,
                    &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
                );
            };
            if let Ok(thread) = thread::Builder::new().spawn_scoped(scope, drop_database) {
                let _ = thread.join();
            }
        });
    }
}

pub(crate) fn connect(url: &str, application_name: &str) -> Result<Client, postgres::Error> {
    let mut config: Config = url.parse()?;
    config.application_name(application_name);
    config.connect_timeout(Duration::from_secs(5));
    config.connect(NoTls)
}

fn on_server(url: &str, statement: &str) -> Result<(), postgres::Error> {
    apart(|| {
        let mut client = connect(url, "pglock-tests")?;
        client.batch_execute("SET statement_timeout = '20s'")?;
        client.batch_execute(statement)
    })
}

/// Different for every test of every run: a server that was given outlives a killed run.
fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "pglock_{:x}_{}_{}",
        now.as_micros(),
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}
