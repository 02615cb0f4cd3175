//! The hosts of a URL, and the addresses that they have.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::PathBuf;

use tokio_postgres::config::Host;

use crate::database::handle::Database;
#[cfg(unix)]
use crate::database::local;

/// A host of the URL.
pub(super) struct NamedHost {
    host: Host,
    /// The name in the URL, which TLS asks for.
    name: String,
    pub(super) port: u16,
    /// As a file with passwords names it.
    pub(super) in_password_file: String,
}

pub(super) enum Address {
    /// With the name of its host.
    Tcp(SocketAddr, String),
    #[cfg(unix)]
    Unix(PathBuf),
}

impl Database {
    pub(super) fn hosts(&self) -> Vec<NamedHost> {
        let config = self.config();
        let (names, addresses) = (config.get_hosts(), config.get_hostaddrs());
        let ports = config.get_ports();
        let hosts = (0..names.len().max(addresses.len())).map(|at| NamedHost {
            host: match addresses.get(at) {
                Some(address) => Host::Tcp(address.to_string()),
                None => names[at].clone(),
            },
            name: match names.get(at) {
                Some(Host::Tcp(name)) => name.clone(),
                _ => String::new(),
            },
            port: ports.get(at).or(ports.first()).copied().unwrap_or(5432),
            in_password_file: match names.get(at) {
                Some(Host::Tcp(name)) => name.clone(),
                #[cfg(unix)]
                Some(Host::Unix(folder)) if local::is_default_folder(folder) => "localhost".into(),
                #[cfg(unix)]
                Some(Host::Unix(folder)) => folder.display().to_string(),
                // As in libpq.
                None => addresses
                    .get(at)
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            },
        });
        hosts.collect()
    }
}

impl NamedHost {
    pub(super) async fn addresses(&self) -> io::Result<Vec<Address>> {
        match &self.host {
            Host::Tcp(host) => {
                let found = tokio::net::lookup_host((host.as_str(), self.port)).await?;
                let addresses = found.map(|address| Address::Tcp(address, self.name.clone()));
                Ok(addresses.collect())
            }
            #[cfg(unix)]
            Host::Unix(folder) => Ok(vec![Address::Unix(
                folder.join(format!(".s.PGSQL.{}", self.port)),
            )]),
        }
    }
}
