//! A throwaway Postgres server.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use postgres::NoTls;

use crate::apart::apart;
use crate::database::TestDb;
use crate::process::{children, is_alive};
use crate::supervisor::Supervisor;
use crate::{BOUND, bin_dir, url, wait_until};

/// How long a server may take to start, recovery after a crash included.
const START_BOUND: Duration = Duration::from_secs(60);

/// Nothing here has to outlast the machine, which makes a server fast. What was committed outlasts the
/// server's own death all the same.
const SETTINGS: &[(&str, &str)] = &[
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    ("max_connections", "200"),
    ("max_prepared_transactions", "10"),
    // In the data folder, so that a killed server leaves nothing in /dev/shm.
    ("dynamic_shared_memory_type", "mmap"),
    ("log_line_prefix", "%m [%p] %a "),
];

/// A Postgres server: one of our own, gone when this is dropped or the process ends, however it
/// ends, or one that was given.
#[derive(Debug)]
pub struct Server {
    url: String,
    local: Option<Local>,
}

/// What there is to a server of our own.
#[derive(Debug)]
struct Local {
    supervisor: Supervisor,
    folder: PathBuf,
    tcp_url: Option<String>,
    /// Of the postmaster, while it runs.
    pid: Mutex<Option<u32>>,
}

/// A [`Server`] to be.
#[derive(Debug, Clone)]
#[must_use = "start() starts it"]
pub struct Builder {
    settings: Vec<(String, String)>,
    tcp: bool,
    bin_dir: Option<PathBuf>,
    /// The folder of a server to copy, which is stopped.
    copied: Option<PathBuf>,
}

impl Builder {
    /// Sets a line of `postgresql.conf`.
    pub fn setting(mut self, name: &str, value: &str) -> Builder {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether the server listens on TCP too, on a free port of 127.0.0.1: see
    /// [`Server::tcp_url`].
    pub fn tcp(mut self, tcp: bool) -> Builder {
        self.tcp = tcp;
        self
    }

    /// Which Postgres to run, instead of that of [`bin_dir`].
    pub fn bin_dir(mut self, folder: impl Into<PathBuf>) -> Builder {
        self.bin_dir = Some(folder.into());
        self
    }

    /// Starts it, and returns when it accepts connections.
    #[must_use]
    pub fn start(self) -> Server {
        let bin = self.bin_dir.unwrap_or_else(|| bin_dir().to_owned());
        let account = account();
        let folder = tempfile::Builder::new()
            .prefix("pglock-")
            .tempdir_in(temp_dir())
            .expect("can't make a folder");
        if let Some((user, group)) = account {
            chown(folder.path(), Some(user), Some(group)).expect("can't give the folder away");
        }
        let supervisor = Supervisor::start(&bin, folder.path(), account);
        // From here on the supervisor removes it.
        let folder = folder.keep();

        let port = if self.tcp { free_port() } else { 5432 };
        let address = url::encode(folder.as_os_str().as_encoded_bytes());
        let server = Server {
            url: format!("postgresql://postgres@{address}:{port}/postgres"),
            local: Some(Local {
                supervisor,
                tcp_url: self
                    .tcp
                    .then(|| format!("postgresql://postgres@127.0.0.1:{port}/postgres")),
                folder,
                pid: Mutex::new(None),
            }),
        };
        let local = server.local();
        let order = match &self.copied {
            None => "init".to_owned(),
            Some(folder) => format!("copy {}", folder.display()),
        };
        let status = local.supervisor.order(&order);
        assert_eq!(status, "0", "{order} failed:\n{}", server.log());
        let own = [
            ("port", port.to_string()),
            (
                "unix_socket_directories",
                local.folder.display().to_string(),
            ),
            (
                "listen_addresses",
                if self.tcp { "127.0.0.1" } else { "" }.to_owned(),
            ),
        ];
        let settings = SETTINGS.iter().map(|&(name, value)| (name, value));
        let settings = settings.chain(own.iter().map(|(name, value)| (*name, value.as_str())));
        let settings = settings.chain(
            self.settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        local.configure(settings);
        server.start_again();
        server
    }
}

impl Server {
    /// Starts a server of the test's own. It always is a local one, also where `DATABASE_URL` is
    /// set.
    #[must_use]
    pub fn start() -> Server {
        Server::builder().start()
    }

    /// A server with options.
    pub fn builder() -> Builder {
        Builder {
            settings: Vec::new(),
            tcp: false,
            bin_dir: None,
            copied: None,
        }
    }

    /// A hot standby of this server, one of our own, that follows it by streaming. The server is stopped and started
    /// again for it, so its sessions are ended.
    #[must_use]
    pub fn standby(&self) -> Server {
        self.stop();
        let standby = Server::builder()
            .setting("primary_conninfo", &self.url("postgres"))
            .setting("wal_retrieve_retry_interval", "100ms");
        let standby = Builder {
            copied: Some(self.local().folder.clone()),
            ..standby
        }
        .start();
        self.start_again();
        standby
    }

    /// Starts it again, after [`stop`](Server::stop), as a standby of none: it stays in recovery.
    pub fn start_again_as_standby(&self) {
        let signal = self.local().folder.join("data/standby.signal");
        std::fs::write(signal, "").expect("can't write standby.signal");
        self.start_again();
    }

    /// A server that others run.
    pub(crate) fn given(url: &str) -> Server {
        Server {
            url: url.to_owned(),
            local: None,
        }
    }

    /// Whether it is a server of our own, that can be stopped and killed.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.local.is_some()
    }

    /// The URL of one of its databases: over its unix socket, if it is a server of our own. It
    /// stays the same when the server is started again.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url::with_database(&self.url, database)
    }

    /// The URL of one of its databases over TCP, for a server built with [`Builder::tcp`].
    #[must_use]
    pub fn tcp_url(&self, database: &str) -> String {
        let url = self
            .local()
            .tcp_url
            .as_deref()
            .expect("needs Server::builder().tcp(true)");
        url::with_database(url, database)
    }

    /// Creates a database for one test.
    #[must_use]
    pub fn create_database(&self) -> TestDb {
        TestDb::create(self)
    }

    /// Stops it, cleanly and at once: its sessions are ended.
    pub fn stop(&self) {
        self.end("INT");
    }

    /// Kills it, as a crash would: the main process gets SIGKILL, and its sessions end because it
    /// is gone. Returns when they have.
    pub fn kill(&self) {
        let sessions = children(self.pid());
        self.end("KILL");
        // One that writes notices when it is done with that.
        wait_until("the killed server's sessions are gone", 3 * BOUND, || {
            !sessions.iter().any(|&session| is_alive(session))
        });
    }

    /// Starts it again after [`stop`](Server::stop) or [`kill`](Server::kill), with the same data
    /// and the same URL.
    pub fn start_again(&self) {
        let local = self.local();
        let mut running = local.running();
        assert!(running.is_none(), "the server runs already");
        let start = Instant::now();
        loop {
            let log_before = self.log().len();
            let pid = local
                .supervisor
                .order("start")
                .parse()
                .expect("the supervisor answers with a pid");
            *running = Some(pid);
            while is_alive(pid) && start.elapsed() < START_BOUND {
                if self.accepts_connections() {
                    return;
                }
                thread::sleep(Duration::from_millis(5));
            }
            local.supervisor.order("end KILL");
            *running = None;
            let log = self.log().split_off(log_before);
            // After a crash a session may need a moment to notice that the main process is gone.
            let too_early = log.contains("pre-existing shared memory block");
            assert!(
                too_early && start.elapsed() < START_BOUND,
                "the server did not start:\n{log}"
            );
        }
    }

    /// [`stop`](Server::stop), then [`start_again`](Server::start_again).
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// All that the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let log = std::fs::read(self.local().folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.local().folder.join("data")
    }

    /// The process ID of the main process (the postmaster).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.local().running().expect("the server doesn't run")
    }

    fn end(&self, signal: &str) {
        let local = self.local();
        if local.running().take().is_some() {
            local.supervisor.order(&format!("end {signal}"));
        }
    }

    fn accepts_connections(&self) -> bool {
        let config: postgres::Config = self.url.parse().expect("our own URL");
        apart(|| config.connect(NoTls).is_ok())
    }

    fn local(&self) -> &Local {
        self.local.as_ref().expect(
            "this needs a server of the test's own, not that of DATABASE_URL: use Server::start()",
        )
    }
}

impl Local {
    fn running(&self) -> MutexGuard<'_, Option<u32>> {
        self.pid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configure<'a>(&self, settings: impl Iterator<Item = (&'a str, &'a str)>) {
        let path = self.folder.join("data/postgresql.conf");
        let mut lines = String::new();
        for (name, value) in settings {
            let value = value.replace('\'', "''");
            lines.push_str(&[name, " = '", &value, "'\n"].concat());
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .expect("can't write postgresql.conf");
    }
}

/// Postgres refuses to run as root: the user and group it is to run as instead, if we are root.
pub(crate) fn account() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let id = |option: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([option, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    let account = ["postgres", "nobody"]
        .into_iter()
        .find_map(|user| Some((id("-u", user)?, id("-g", user)?)));
    Some(account.expect("as root, there must be a user \"postgres\" to run the server as"))
}

/// The system's folder for temporary files, unless its path is too long for that of a unix socket
/// (about 100 bytes) or closed to the user that the server runs as.
pub(crate) fn temp_dir() -> PathBuf {
    let system = std::env::temp_dir();
    let is_open = |folder: &Path| {
        folder
            .metadata()
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
    };
    let is_short = system.as_os_str().len() <= 70;
    let is_reachable = account().is_none() || system.ancestors().all(is_open);
    if is_short && is_reachable {
        system
    } else {
        PathBuf::from("/tmp")
    }
}

/// A port that nothing listens on, below those that systems give to outgoing connections: it has
/// to stay free while the server is stopped.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Processes that start together start looking in different places.
        let n = std::process::id()
            .wrapping_mul(61)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 15_000 + u16::try_from(n % 17_000).expect("it is below 17,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
