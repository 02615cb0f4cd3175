//! Where pglock connects, and as whom: libpq's words, its files and variables, passwords that change.

mod closing;
mod environment;
mod passwords;
mod ping;
mod words;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use pglock::{Database, Error};
use pglock_tests::Server;

const PASSWORD: &str = "hunter2";

/// Of our own also where `DATABASE_URL` names one: over TCP, the role `scram` needs its password.
fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        let server = Server::builder().tcp(true).start();
        let rules =
            "local all all trust\nhost all scram all scram-sha-256\nhost all all all trust\n";
        std::fs::write(server.data_dir().join("pg_hba.conf"), rules).unwrap();
        server.restart();
        let mut client =
            postgres::Client::connect(&server.url("postgres"), postgres::NoTls).unwrap();
        let role = format!("CREATE ROLE scram LOGIN PASSWORD '{PASSWORD}'");
        client.batch_execute(&role).unwrap();
        server
    });
    &SERVER
}

/// The port of the server on TCP.
fn port() -> String {
    let url = server().tcp_url("postgres");
    let (_, behind) = url.rsplit_once(':').unwrap();
    behind.split('/').next().unwrap().to_owned()
}

/// Takes a lock there and releases it, and tells the name of the user.
fn user_of(database: &Database) -> Result<String, Error> {
    let lock = pglock::advisory("connecting").using(database);
    let guard = lock.clone().acquire()?;
    let busy = lock
        .timeout(std::time::Duration::ZERO)
        .acquire()
        .unwrap_err();
    guard.release()?;
    Ok(busy.holder().unwrap().user.clone().unwrap_or_default())
}

/// A file that only this user may read.
fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    open_to(&path, 0o600);
    path
}

fn open_to(path: &Path, mode: u32) {
    let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(path, mode).unwrap();
}

fn built(text: &str) -> Database {
    Database::builder(text).build().unwrap()
}
