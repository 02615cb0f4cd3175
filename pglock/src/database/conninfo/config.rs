//! The driver's configuration and the options of TLS, by the parameters of a connection.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{
    ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs,
};

use super::{Conninfo, invalid};
use crate::database::tls::{Roots, SslMode, TlsOptions};
use crate::error::Error;

impl Conninfo {
    pub(in crate::database) fn config(&self) -> Result<(Config, TlsOptions), Error> {
        let mut config = Config::new();
        self.set_place(&mut config)?;
        self.set_times(&mut config)?;
        if let Some(user) = self.text("user")? {
            config.user(user);
        }
        if let Some(password) = self.bytes("password") {
            config.password(password);
        }
        if let Some(dbname) = self.text("dbname")? {
            config.dbname(dbname);
        }
        if let Some(options) = self.text("options")? {
            config.options(options);
        }
        if let Some(name) = self.text("application_name")? {
            config.application_name(name);
        }
        let attributes = [
            ("any", TargetSessionAttrs::Any),
            ("read-write", TargetSessionAttrs::ReadWrite),
            ("read-only", TargetSessionAttrs::ReadOnly),
        ];
        if let Some(attributes) = self.word("target_session_attrs", attributes)? {
            config.target_session_attrs(attributes);
        }
        let binding = [
            ("disable", ChannelBinding::Disable),
            ("prefer", ChannelBinding::Prefer),
            ("require", ChannelBinding::Require),
        ];
        if let Some(binding) = self.word("channel_binding", binding)? {
            config.channel_binding(binding);
        }
        let negotiation = [
            ("postgres", SslNegotiation::Postgres),
            ("direct", SslNegotiation::Direct),
        ];
        if let Some(negotiation) = self.word("sslnegotiation", negotiation)? {
            config.ssl_negotiation(negotiation);
        }
        let order = [
            ("disable", LoadBalanceHosts::Disable),
            ("random", LoadBalanceHosts::Random),
        ];
        if let Some(order) = self.word("load_balance_hosts", order)? {
            config.load_balance_hosts(order);
        }
        Ok((config, self.tls_options()?))
    }

    fn tls_options(&self) -> Result<TlsOptions, Error> {
        let path = |name| Ok::<_, Error>(self.text(name)?.map(PathBuf::from));
        let modes = [
            ("disable", SslMode::Disable),
            ("prefer", SslMode::Prefer),
            ("require", SslMode::Require),
            ("verify-ca", SslMode::VerifyCa),
            ("verify-full", SslMode::VerifyFull),
        ];
        Ok(TlsOptions {
            mode: self.word("sslmode", modes)?,
            roots: path("sslrootcert")?.map(Roots::from),
            certificate: path("sslcert")?,
            key: path("sslkey")?,
        })
    }

    /// The hosts, their addresses and their ports.
    fn set_place(&self, config: &mut Config) -> Result<(), Error> {
        for host in self.list("host") {
            set_host(config, host)?;
        }
        for address in self.list("hostaddr") {
            let address: Option<IpAddr> = parsed(address);
            let why = "is not an IP address; write one, or for several hosts one for each, separated by commas";
            config.hostaddr(address.ok_or_else(|| invalid("hostaddr", why))?);
        }
        for port in self.list("port") {
            let port = if port.is_empty() {
                Some(5432)
            } else {
                parsed(port)
            };
            let why = "is not a number from 1 to 65535; write one, and an IPv6 address in brackets, as in `postgres://user@[::1]:5432/database`";
            config.port(
                port.filter(|port| *port > 0)
                    .ok_or_else(|| invalid("port", why))?,
            );
        }
        let (hosts, addresses, ports) = (
            config.get_hosts().len(),
            config.get_hostaddrs().len(),
            config.get_ports().len(),
        );
        if hosts > 0 && addresses > 0 && hosts != addresses {
            let why = "does not fit its `host`; write one address for each host";
            return Err(invalid("hostaddr", why));
        }
        if ports > 1 && ports != hosts.max(addresses) {
            return Err(invalid(
                "port",
                "does not fit its hosts; write one port, or one for each host",
            ));
        }
        Ok(())
    }

    fn set_times(&self, config: &mut Config) -> Result<(), Error> {
        if let Some(bound) = self.seconds("connect_timeout")? {
            config.connect_timeout(bound);
        }
        if let Some(bound) = self.seconds("tcp_user_timeout")? {
            config.tcp_user_timeout(bound);
        }
        if let Some(keepalives) = self.number::<i32>("keepalives")? {
            config.keepalives(keepalives != 0);
        }
        if let Some(idle) = self.seconds("keepalives_idle")? {
            config.keepalives_idle(idle);
        }
        if let Some(interval) = self.seconds("keepalives_interval")? {
            config.keepalives_interval(interval);
        }
        for count in ["keepalives_count", "keepalives_retries"] {
            if let Some(count) = self.number(count)? {
                config.keepalives_retries(count);
            }
        }
        Ok(())
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let number = self.bytes(name).map(|value| {
            let trimmed = value.trim_ascii();
            parsed(trimmed)
                .ok_or_else(|| invalid(name, "is not a number that fits; write a whole number"))
        });
        number.transpose()
    }

    /// A time. As in libpq, one that is not above zero stands for the default.
    fn seconds(&self, name: &str) -> Result<Option<Duration>, Error> {
        let seconds = self.number::<i32>(name)?;
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Ok(seconds
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs))
    }

    /// The meaning of a value that is one of a few words.
    fn word<T, const N: usize>(
        &self,
        name: &str,
        words: [(&str, T); N],
    ) -> Result<Option<T>, Error> {
        let Some(value) = self.bytes(name) else {
            return Ok(None);
        };
        let known = words.each_ref().map(|(word, _)| format!("`{word}`"));
        let found = words.into_iter().find(|(word, _)| word.as_bytes() == value);
        let unknown = || {
            invalid(
                name,
                &format!("is none of {}; write one of them", known.join(", ")),
            )
        };
        found.map(|(_, meaning)| Some(meaning)).ok_or_else(unknown)
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let values = self
            .bytes(name)
            .map(|value| value.split(|byte| *byte == b','));
        values.into_iter().flatten()
    }
}

fn parsed<T: FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// A name, or the path of a folder with sockets.
fn set_host(config: &mut Config, host: &[u8]) -> Result<(), Error> {
    #[cfg(unix)]
    if host.starts_with(b"/") {
        use std::os::unix::ffi::OsStrExt;
        config.host_path(std::ffi::OsStr::from_bytes(host));
        return Ok(());
    }
    let name = std::str::from_utf8(host);
    config.host(name.map_err(|_| {
        invalid(
            "host",
            "is not UTF-8 after decoding; check its `%` sequences",
        )
    })?);
    Ok(())
}
