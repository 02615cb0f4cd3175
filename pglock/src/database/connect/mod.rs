//! Opens the connections of pglock's own sessions.

mod addresses;
mod cancel_request;
mod password_file;
#[cfg(unix)]
mod registered;
#[cfg(not(unix))]
#[path = "registered_elsewhere.rs"]
mod registered;
pub(super) mod session_target;
mod socket;
mod std_socket;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio_postgres::config::LoadBalanceHosts;
use tokio_postgres::{Client, Config};

use super::credentials::PasswordSource;
use super::handle::Database;
use super::local;
use super::tls::{self, Driver};
use crate::error::Failure;
use addresses::{Address, NamedHost};
use password_file::{Login, OpenToOthers};
use socket::Socket;
pub(crate) use socket::SocketSwitch;
use std_socket::StdSocket;

/// A connection to the server.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) driver: Driver,
    /// Lends the session to callers.
    pub(crate) switch: SocketSwitch,
}

impl Database {
    /// Connects to the first host that can be connected to, and is what the URL asks for.
    pub(crate) async fn connect(&self) -> Result<Connected, Failure> {
        let credentials = self.credentials();
        let mut config = self.config().clone();
        if let Some(user) = &credentials.user {
            config.user(user);
        }
        match &credentials.password {
            PasswordSource::Given(password) => {
                config.password(password);
            }
            PasswordSource::Asked(ask) => {
                // Before the time for the whole is over, which would be taken for that of a silent server.
                let bound = self.connect_timeout() * 9 / 10;
                config.password(ask.ask(bound).await?);
            }
            PasswordSource::File(_) | PasswordSource::None => {}
        }
        let hosts = in_order(self.hosts(), &config);
        let is_only = hosts.len() == 1;
        let mut failed = None;
        for host in hosts {
            let connect = async {
                match &credentials.password {
                    PasswordSource::File(file) => self.connect_by(file, &host, &config).await,
                    _ => self.connect_to(&host, &config).await,
                }
            };
            let connected = match config.get_connect_timeout() {
                // Of one host the caller waits for the whole time.
                Some(bound) if !is_only => {
                    let in_time = tokio::time::timeout(*bound, connect).await;
                    in_time.unwrap_or_else(|_| Err(Failure::silent()))
                }
                _ => connect.await,
            };
            match connected {
                Ok(connected) => return Ok(connected),
                Err(failure) => failed = Some(failure),
            }
        }
        Err(failed.unwrap_or_else(|| Failure::refused("there is no host to connect to")))
    }

    async fn connect_to(&self, host: &NamedHost, config: &Config) -> Result<Connected, Failure> {
        let open = async || {
            let opened = open(host, config).await;
            opened.map_err(|error| Failure::local(error, true))
        };
        let (client, mut driver, switch) = tls::connect(config, self.tls(), open).await?;
        self.target().check(&client, &mut driver).await?;
        Ok(Connected {
            client,
            driver,
            switch,
        })
    }

    /// Connects with the password that a file has for this host.
    async fn connect_by(
        &self,
        file: &Path,
        host: &NamedHost,
        config: &Config,
    ) -> Result<Connected, Failure> {
        let user = config.get_user().map(str::to_owned).or_else(local::user);
        let user = user.unwrap_or_default();
        let login = Login {
            host: &host.in_password_file,
            port: host.port,
            dbname: config.get_dbname().unwrap_or(&user),
            user: &user,
        };
        match password_file::look_up(file, login) {
            Ok(None) => self.connect_to(host, config).await,
            Ok(Some(password)) => {
                let mut config = config.clone();
                self.connect_to(host, config.password(password)).await
            }
            Err(OpenToOthers) => match self.connect_to(host, config).await {
                Err(failure) if failure.says("password missing") => {
                    Err(Failure::refused("others may read the password file"))
                }
                connected => connected,
            },
        }
    }
}

/// The hosts, or their addresses, in the order in which they are tried.
fn in_order<T>(mut hosts: Vec<T>, config: &Config) -> Vec<T> {
    if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
        // Each state has random keys.
        let random = RandomState::new();
        let mut places: Vec<(u64, T)> = Vec::new();
        for (at, host) in hosts.into_iter().enumerate() {
            places.push((random.hash_one(at), host));
        }
        places.sort_by_key(|(place, _)| *place);
        hosts = places.into_iter().map(|(_, host)| host).collect();
    }
    hosts
}

/// A stream to the first address of a host that can be connected to, and its name for TLS.
async fn open(host: &NamedHost, config: &Config) -> io::Result<(Socket, SocketSwitch, String)> {
    let mut failed = None;
    for address in in_order(host.addresses().await?, config) {
        let connect = address.connect(config);
        let connected = match config.get_connect_timeout() {
            Some(bound) => in_time(*bound, connect).await,
            None => connect.await,
        };
        match connected {
            Ok(socket) => {
                let (socket, switch) = Socket::new(socket)?;
                return Ok((socket, switch, address.into_name()));
            }
            Err(error) => failed = Some(error),
        }
    }
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "the host has no address");
    Err(failed.unwrap_or_else(none))
}

async fn in_time<T>(
    bound: Duration,
    connect: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let in_time = tokio::time::timeout(bound, connect).await;
    in_time.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl Address {
    async fn connect(&self, config: &Config) -> io::Result<StdSocket> {
        match self {
            Self::Tcp(address, _) => {
                let socket = tokio::net::TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                watch(&SockRef::from(&socket), config)?;
                Ok(StdSocket::Tcp(socket.into_std()?))
            }
            #[cfg(unix)]
            Self::Unix(path) => {
                let socket = tokio::net::UnixStream::connect(path).await?;
                Ok(StdSocket::Unix(socket.into_std()?))
            }
        }
    }

    fn into_name(self) -> String {
        match self {
            Self::Tcp(_, name) => name,
            #[cfg(unix)]
            Self::Unix(_) => String::new(),
        }
    }
}

/// Has the kernel notice when the other side is gone, as the driver would.
fn watch(socket: &SockRef<'_>, config: &Config) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(timeout) = config.get_tcp_user_timeout() {
        socket.set_tcp_user_timeout(Some(*timeout))?;
    }
    if !config.get_keepalives() {
        return Ok(());
    }
    let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
    #[cfg(not(any(
        target_os = "aix",
        target_os = "redox",
        target_os = "solaris",
        target_os = "openbsd"
    )))]
    if let Some(interval) = config.get_keepalives_interval() {
        keepalive = keepalive.with_interval(interval);
    }
    #[cfg(not(any(
        target_os = "aix",
        target_os = "redox",
        target_os = "solaris",
        target_os = "windows",
        target_os = "openbsd"
    )))]
    if let Some(retries) = config.get_keepalives_retries() {
        keepalive = keepalive.with_retries(retries);
    }
    socket.set_tcp_keepalive(&keepalive)
}
