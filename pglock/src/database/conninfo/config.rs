//! Where and how sessions are opened, by the parameters of a connection.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{
    ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs,
};

use super::values::Conninfo;
use crate::database::connect::session_target::SessionTarget;
use crate::database::credentials::{Credentials, PasswordSource};
use crate::database::local;
use crate::database::tls::{Roots, SslMode, TlsOptions};
use crate::error::Error;

/// Where and how sessions are opened.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::database) struct Parameters {
    /// All that the driver knows, but for the credentials.
    pub(in crate::database) config: Config,
    pub(in crate::database) credentials: Credentials,
    pub(in crate::database) tls: TlsOptions,
    pub(in crate::database) target: SessionTarget,
}

/// The driver has no words for all of it, and looks nowhere for a password.
impl From<Config> for Parameters {
    fn from(config: Config) -> Self {
        let password = config.get_password();
        let credentials = Credentials {
            user: config.get_user().map(str::to_owned),
            password: password.map_or(PasswordSource::None, |it| PasswordSource::Given(it.into())),
        };
        let target = match config.get_target_session_attrs() {
            TargetSessionAttrs::ReadWrite => SessionTarget::ReadWrite,
            TargetSessionAttrs::ReadOnly => SessionTarget::ReadOnly,
            _ => SessionTarget::Any,
        };
        Self {
            config,
            credentials,
            tls: TlsOptions::default(),
            target,
        }
    }
}

impl Conninfo {
    pub(super) fn parameters(&self) -> Result<Parameters, Error> {
        let mut config = Config::new();
        self.set_place(&mut config)?;
        self.set_times(&mut config)?;
        self.set_words(&mut config)?;
        if let Some(dbname) = self.text("dbname")? {
            config.dbname(dbname);
        }
        if let Some(options) = self.text("options")? {
            config.options(options);
        }
        for name in ["fallback_application_name", "application_name"] {
            if let Some(name) = self.text(name)? {
                config.application_name(name);
            }
        }
        Ok(Parameters {
            config,
            credentials: Credentials {
                user: self.text("user")?.map(str::to_owned),
                password: self.password()?,
            },
            tls: self.tls_options()?,
            target: self.target()?,
        })
    }

    fn password(&self) -> Result<PasswordSource, Error> {
        if let Some(password) = self.bytes("password") {
            return Ok(PasswordSource::Given(password.to_owned()));
        }
        let file = match self.text("passfile")? {
            Some(file) => Some(file.into()),
            None => local::password_file(),
        };
        Ok(file.map_or(PasswordSource::None, PasswordSource::File))
    }

    fn set_words(&self, config: &mut Config) -> Result<(), Error> {
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
        Ok(())
    }

    fn tls_options(&self) -> Result<TlsOptions, Error> {
        let path = |name| Ok::<_, Error>(self.text(name)?.map(PathBuf::from));
        let modes = [
            ("disable", SslMode::Disable),
            ("allow", SslMode::Allow),
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

    fn target(&self) -> Result<SessionTarget, Error> {
        const NAME: &str = "target_session_attrs";
        if matches!(self.bytes(NAME), Some(b"standby" | b"prefer-standby")) {
            let why = "picks a standby, where locks exclude nobody on the primary; write `primary` or `any`";
            return Err(self.invalid(NAME, why));
        }
        let words = [
            ("any", SessionTarget::Any),
            ("primary", SessionTarget::Primary),
            ("read-write", SessionTarget::ReadWrite),
            ("read-only", SessionTarget::ReadOnly),
        ];
        Ok(self.word(NAME, words)?.unwrap_or(SessionTarget::Any))
    }

    /// The hosts, their addresses and their ports.
    fn set_place(&self, config: &mut Config) -> Result<(), Error> {
        for port in self.list("port") {
            let why = if port.contains(&b':') {
                "is not a number from 1 to 65535; write an IPv6 address in brackets, as in `postgres://user@[::1]:5432/database`"
            } else {
                "is not a number from 1 to 65535; write one"
            };
            let port = if port.is_empty() {
                Some(5432)
            } else {
                parsed(port)
            };
            let port = port.filter(|port| *port > 0);
            config.port(port.ok_or_else(|| self.invalid("port", why))?);
        }
        for address in self.list("hostaddr") {
            let address: Option<IpAddr> = parsed(address);
            let why = "is not an IP address; write one, or for several hosts one for each, separated by commas";
            config.hostaddr(address.ok_or_else(|| self.invalid("hostaddr", why))?);
        }
        let mut hosts: Vec<&[u8]> = self.list("host").collect();
        if hosts.is_empty() && config.get_hostaddrs().is_empty() {
            hosts.push(b"");
        }
        let (addresses, ports) = (config.get_hostaddrs().len(), config.get_ports().to_vec());
        if !hosts.is_empty() && addresses > 0 && hosts.len() != addresses {
            let why = "does not fit its `host`; write one address for each host";
            return Err(self.invalid("hostaddr", why));
        }
        if ports.len() > 1 && ports.len() != hosts.len().max(addresses) {
            let why = "does not fit its hosts; write one port, or one for each host";
            return Err(self.invalid("port", why));
        }
        for (at, host) in hosts.into_iter().enumerate() {
            let port = ports.get(at).or(ports.first());
            self.set_host(config, host, port.copied().unwrap_or(5432))?;
        }
        Ok(())
    }

    /// A name, the path of a folder with sockets, or nothing, for the default.
    fn set_host(&self, config: &mut Config, host: &[u8], port: u16) -> Result<(), Error> {
        if host.is_empty() {
            config.host(local::host(port));
            return Ok(());
        }
        if host.starts_with(b"@") {
            let why = "is a socket in the abstract namespace, which pglock cannot use; name a folder with sockets";
            return Err(self.invalid("host", why));
        }
        #[cfg(unix)]
        if host.starts_with(b"/") {
            use std::os::unix::ffi::OsStrExt;
            config.host_path(std::ffi::OsStr::from_bytes(host));
            return Ok(());
        }
        let why = "is not UTF-8 after decoding; check its `%` sequences";
        let name = std::str::from_utf8(host);
        config.host(name.map_err(|_| self.invalid("host", why))?);
        Ok(())
    }

    fn set_times(&self, config: &mut Config) -> Result<(), Error> {
        if let Some(bound) = self.seconds("connect_timeout")? {
            config.connect_timeout(bound);
        }
        // As in libpq, and unlike in the driver.
        if let Some(milliseconds) = self.above_zero("tcp_user_timeout")? {
            config.tcp_user_timeout(Duration::from_millis(milliseconds));
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
        if let Some(count) = self.above_zero("keepalives_count")? {
            config.keepalives_retries(count.try_into().unwrap_or(u32::MAX));
        }
        Ok(())
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Error> {
        let why = "is not a number that fits; write a whole number";
        let number = self
            .bytes(name)
            .map(|value| parsed(value.trim_ascii()).ok_or_else(|| self.invalid(name, why)));
        number.transpose()
    }

    /// A number. As in libpq, one that is not above zero stands for the default.
    fn above_zero(&self, name: &str) -> Result<Option<u64>, Error> {
        let number = self.number::<i32>(name)?;
        let number = number.and_then(|number| u64::try_from(number).ok());
        Ok(number.filter(|number| *number > 0))
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>, Error> {
        Ok(self.above_zero(name)?.map(Duration::from_secs))
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
            let why = format!("is none of {}; write one of them", known.join(", "));
            self.invalid(name, &why)
        };
        found.map(|(_, meaning)| Some(meaning)).ok_or_else(unknown)
    }

    fn list(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let values = self.bytes(name);
        let values = values.map(|value| value.split(|byte| *byte == b','));
        values.into_iter().flatten()
    }
}

fn parsed<T: FromStr>(value: &[u8]) -> Option<T> {
    std::str::from_utf8(value).ok()?.parse().ok()
}
