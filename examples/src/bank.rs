//! A bank: the tables of `pgbench`, and `pgbench` at work on them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pglock_tests::TestDb;
use postgres::Config;
use postgres::config::Host;

use crate::Error;

/// Creates the tables of `pgbench`, with 100,000 accounts and 10 tellers per branch.
///
/// # Errors
///
/// When there is no `pgbench`, or it fails.
pub fn create_bank(db: &TestDb, branches: u32) -> Result<(), Error> {
    let output = pgbench(db)?
        .args([
            "--initialize",
            "--init-steps=dtGvp",
            "--unlogged-tables",
            "--quiet",
        ])
        .arg(format!("--scale={branches}"))
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("pgbench failed ({}): {}", output.status, said.trim()).into())
}

/// `pgbench` moving money in the background; it ends when this is dropped.
#[derive(Debug)]
pub struct Load(Child);

impl Load {
    /// Starts it: 100 transactions a second, which leaves the machine room for other work.
    ///
    /// # Errors
    ///
    /// When there is no `pgbench`.
    pub fn start(db: &TestDb) -> Result<Self, Error> {
        let child = pgbench(db)?
            // With an end of its own, for when the example is killed.
            .args(["--client=2", "--rate=100", "--time=300", "--no-vacuum"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Checks that it still runs.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("pgbench ended too early ({status})").into()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `pgbench`, with its connection in the environment: arguments, and passwords in them, can be read by every user.
fn pgbench(db: &TestDb) -> Result<Command, Error> {
    let program = find_pgbench().ok_or(
        "pgbench was not found, the load generator that comes with Postgres; install the package `postgresql` \
         (Fedora, Red Hat: `postgresql-contrib`), or put its folder into PATH",
    )?;
    let config: Config = db.url().parse()?;
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(folder) => folder.display().to_string(),
    });
    let ports = config.get_ports().iter().map(ToString::to_string);
    let mut command = Command::new(program);
    command
        .env("PGHOST", hosts.collect::<Vec<_>>().join(","))
        .env("PGPORT", ports.collect::<Vec<_>>().join(","))
        .env("PGDATABASE", db.name())
        .stdin(Stdio::null());
    if let Some(user) = config.get_user() {
        command.env("PGUSER", user);
    }
    if let Some(password) = config.get_password() {
        command.env("PGPASSWORD", String::from_utf8_lossy(password).as_ref());
    }
    Ok(command)
}

/// Next to the server's programs if the server is ours, otherwise in `PATH` or where packages install it.
fn find_pgbench() -> Option<PathBuf> {
    let ours = pglock_tests::server_is_ours().then(|| pglock_tests::bin_dir().to_owned());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = ours
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(packaged());
    folders
        .map(|folder| folder.join("pgbench"))
        .find(|program| program.is_file())
}

/// The folders of Debian, Red Hat and Homebrew.
fn packaged() -> Vec<PathBuf> {
    let parents = [
        "/usr/lib/postgresql",
        "/usr",
        "/opt/homebrew/opt",
        "/usr/local/opt",
    ];
    let folders = parents
        .into_iter()
        .filter_map(|parent| Path::new(parent).read_dir().ok())
        .flatten();
    folders
        .flatten()
        .map(|folder| folder.path().join("bin"))
        .collect()
}
