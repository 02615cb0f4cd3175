//! Opens the connections of pglock's own sessions.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config};

use super::addresses::{Address, NamedHost};
use super::handle::Database;
use super::socket::{RuntimeSocket, Socket, SocketSwitch};
use super::tls::{self, Driver};
use crate::error::Failure;

/// A connection to the server.
pub(crate) struct Connected {
    pub(crate) client: Client,
    pub(crate) driver: Driver,
    /// Where the session can be lent to callers.
    pub(crate) switch: Option<SocketSwitch>,
}

impl Database {
    pub(crate) async fn connect(&self) -> Result<Connected, Failure> {
        let config = self.config();
        let hosts = self.hosts();
        let [host] = hosts.as_slice() else {
            return self.connect_to_any_host().await;
        };
        if config.get_target_session_attrs() != TargetSessionAttrs::Any {
            return self.connect_to_any_host().await;
        }
        let open = async || {
            let opened = open(host, config).await;
            opened.map_err(|error| Failure::local(error, true))
        };
        let (client, driver, switch) = tls::connect_over(config, self.tls(), open).await?;
        Ok(Connected {
            client,
            driver,
            switch: Some(switch),
        })
    }

    /// The driver knows how to choose among several servers. It keeps its socket for itself.
    async fn connect_to_any_host(&self) -> Result<Connected, Failure> {
        let (client, driver) = tls::connect(self.config(), self.tls()).await?;
        Ok(Connected {
            client,
            driver,
            switch: None,
        })
    }
}

/// A stream to the first address of a host that can be connected to, and its name for TLS.
async fn open(host: &NamedHost, config: &Config) -> io::Result<(Socket, SocketSwitch, String)> {
    let mut failed = None;
    for address in host.addresses().await? {
        let connect = address.connect(config);
        let connected = match config.get_connect_timeout() {
            Some(bound) => in_time(*bound, connect).await,
            None => connect.await,
        };
        match connected {
            Ok(socket) => {
                let (socket, switch) = Socket::new(socket);
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
    async fn connect(&self, config: &Config) -> io::Result<RuntimeSocket> {
        match self {
            Self::Tcp(address, _) => {
                let socket = tokio::net::TcpStream::connect(address).await?;
                socket.set_nodelay(true)?;
                watch(&SockRef::from(&socket), config)?;
                Ok(RuntimeSocket::Tcp(socket))
            }
            #[cfg(unix)]
            Self::Unix(path) => {
                let socket = tokio::net::UnixStream::connect(path).await?;
                Ok(RuntimeSocket::Unix(socket))
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
