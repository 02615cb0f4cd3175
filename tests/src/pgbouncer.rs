//! A `PgBouncer` in front of a server.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use postgres::config::Host;
use postgres::{Config, NoTls};
use rustix::process::Signal;

use crate::apart::apart;
use crate::process::send;
use crate::server::{Server, account, temp_dir};
use crate::{BOUND, url, wait_until};

/// `$1`: the program. `$2`: its folder. The pipe closes however the test ends.
const SCRIPT: &str = r#"
trap '' INT TERM HUP PIPE
"$1" "$2/pgbouncer.ini" >>"$2/log" 2>&1 & pooler=$!
echo "$pooler"
cat >/dev/null
kill -s KILL "$pooler"; wait "$pooler"
cd / && rm -rf "$2"
"#;

/// A `PgBouncer` of the test's own on a unix socket, gone when this is dropped or the process ends.
#[derive(Debug)]
pub struct PgBouncer {
    shell: Child,
    pid: u32,
    folder: PathBuf,
    /// Where the server is, for its `[databases]`.
    server: String,
}

impl PgBouncer {
    /// Starts one in front of `server`, with these settings of its `[pgbouncer]` section.
    #[must_use]
    pub fn start(server: &Server, settings: &[(&str, &str)]) -> PgBouncer {
        let account = account();
        let folder = tempfile::Builder::new()
            .prefix("pglock-pooler-")
            .tempdir_in(temp_dir())
            .expect("can't make a folder")
            .keep();
        if let Some((user, group)) = account {
            chown(&folder, Some(user), Some(group)).expect("can't give the folder away");
        }
        let server = address(server);
        write_settings(&folder, &server, settings);
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "supervisor"]);
        command.arg(program()).arg(&folder).current_dir(&folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null()).process_group(0);
        if let Some((user, group)) = account {
            command.uid(user).gid(group);
        }
        let mut shell = command.spawn().expect("can't start sh");
        let mut line = String::new();
        BufReader::new(shell.stdout.as_mut().expect("stdout is piped"))
            .read_line(&mut line)
            .expect("the supervisor answers");
        let pooler = PgBouncer {
            shell,
            pid: line.trim().parse().expect("a pid"),
            folder,
            server,
        };
        let config: Config = pooler.url("postgres").parse().expect("our own URL");
        wait_until("PgBouncer answers", BOUND, || {
            apart(|| {
                let client = config.clone().connect_timeout(BOUND).connect(NoTls);
                client.is_ok_and(|mut client| client.simple_query("SELECT 1").is_ok())
            })
        });
        pooler
    }

    /// The URL of one of the server's databases through it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let folder = url::encode(self.folder.as_os_str().as_encoded_bytes());
        url::with_database(&format!("postgresql://postgres@{folder}:6432"), database)
    }

    /// Gives it other settings while it runs, and waits until it has read them.
    pub fn reload(&self, settings: &[(&str, &str)]) {
        write_settings(&self.folder, &self.server, settings);
        let read = || {
            let log = std::fs::read(self.folder.join("log")).unwrap_or_default();
            String::from_utf8_lossy(&log).matches("SIGHUP").count()
        };
        let before = read();
        send(self.pid, Signal::HUP);
        wait_until("PgBouncer has read its settings", BOUND, || read() > before);
        // It says so before it reads them; who logs in now is served after that.
        let config: Config = self.url("postgres").parse().expect("our own URL");
        apart(|| config.connect(NoTls).map(drop)).expect("it runs");
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

fn write_settings(folder: &Path, server: &str, settings: &[(&str, &str)]) {
    // With `auth_type = any` everybody is the user that `[databases]` names.
    let mut text = format!(
        "[databases]\n* = {server}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
         unix_socket_dir = {}\nauth_type = any\nmax_client_conn = 500\n",
        folder.display()
    );
    for (name, value) in settings {
        text.push_str(&[name, " = ", value, "\n"].concat());
    }
    std::fs::write(folder.join("pgbouncer.ini"), text).expect("can't write pgbouncer.ini");
}

fn address(server: &Server) -> String {
    let config: Config = server.url("postgres").parse().expect("the server's URL");
    let Some(Host::Unix(folder)) = config.get_hosts().first() else {
        panic!("PgBouncer needs a server of the test's own: use Server::start()");
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    format!("host={} port={port} user=postgres", folder.display())
}

/// Where packages put it, which is not in everybody's `PATH`.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(
            [
                "/usr/sbin",
                "/usr/bin",
                "/opt/homebrew/bin",
                "/usr/local/bin",
            ]
            .map(PathBuf::from),
        )
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.is_file())
        .expect("no pgbouncer found: install the package pgbouncer")
}
