//! The TLS options of a URL, and the settings that they amount to together.

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode as DriverSslMode, SslNegotiation};

use crate::error::Error;

/// The levels of libpq's `sslmode`, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::database) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub(super) fn of(config: &Config) -> Self {
        match config.get_ssl_mode() {
            DriverSslMode::Disable => Self::Disable,
            DriverSslMode::Prefer => Self::Prefer,
            // Any mode that the driver may add means at least encryption.
            _ => Self::Require,
        }
    }

    pub(super) fn of_driver(self) -> DriverSslMode {
        match self {
            Self::Disable => DriverSslMode::Disable,
            Self::Allow | Self::Prefer => DriverSslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => DriverSslMode::Require,
        }
    }
}

/// The authorities that are trusted to sign the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::database) enum Roots {
    /// Those of the operating system.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

impl From<PathBuf> for Roots {
    /// Parses the value of libpq's `sslrootcert`.
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "system" {
            Self::System
        } else {
            Self::File(path)
        }
    }
}

/// The options of the URL, before they are combined to [`TlsSettings`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::database) struct TlsOptions {
    /// `None` if only the driver's own [`Config`] sets it.
    pub(in crate::database) mode: Option<SslMode>,
    pub(in crate::database) roots: Option<Roots>,
    pub(in crate::database) certificate: Option<PathBuf>,
    pub(in crate::database) key: Option<PathBuf>,
}

/// What the options amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub(super) mode: SslMode,
    pub(super) roots: Roots,
    pub(super) identity: Option<Identity>,
}

/// The certificate of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl TlsOptions {
    #[cfg(feature = "rustls")]
    pub(in crate::database) fn with_roots(self, path: PathBuf) -> Self {
        Self {
            roots: Some(path.into()),
            ..self
        }
    }

    pub(super) fn resolve(&self, config: &Config) -> Result<TlsSettings, Error> {
        let mode = match (
            self.mode.unwrap_or_else(|| SslMode::of(config)),
            &self.roots,
        ) {
            // Naming an authority asks for verification. The other modes would let an attacker in between answer "no TLS here".
            (SslMode::Allow | SslMode::Prefer, Some(_))
            | (SslMode::Require, Some(Roots::System)) => SslMode::VerifyFull,
            // As in libpq.
            (SslMode::Require, Some(Roots::File(_))) => SslMode::VerifyCa,
            (SslMode::VerifyCa, None | Some(Roots::System)) => {
                return Err(Error::config(
                    "`sslmode=verify-ca` would trust every server with a public certificate, whatever its name; name the file of your own authority as `sslrootcert`, or use `sslmode=verify-full`",
                ));
            }
            (mode, _) => mode,
        };
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(Identity {
                certificate: certificate.clone(),
                key: key.clone(),
            }),
            (None, None) => None,
            _ => {
                return Err(Error::config(
                    "a client certificate needs two files, and the database URL names only one; name both, as `sslcert` and `sslkey`",
                ));
            }
        };
        let sockets = config.get_hosts().iter().filter(|host| is_socket(host));
        let mode = match sockets.count() {
            0 => mode,
            // As in libpq: a unix socket is not encrypted.
            all if all == config.get_hosts().len() && config.get_hostaddrs().is_empty() => {
                SslMode::Disable
            }
            _ if mode > SslMode::Prefer => {
                return Err(Error::config(
                    "the database URL asks for TLS, and names unix sockets, which have none, as well as other hosts; leave one of the two out",
                ));
            }
            _ => mode,
        };
        let is_direct = config.get_ssl_negotiation() == SslNegotiation::Direct;
        if is_direct && matches!(mode, SslMode::Allow | SslMode::Prefer) {
            return Err(Error::config(
                "`sslnegotiation=direct` leaves no way back to a session without encryption; add `sslmode=require`, or better `sslmode=verify-full`",
            ));
        }
        Ok(TlsSettings {
            mode,
            roots: self.roots.clone().unwrap_or(Roots::System),
            identity,
        })
    }
}

fn is_socket(host: &Host) -> bool {
    match host {
        Host::Tcp(_) => false,
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::conninfo::{self, Parameters};

    fn settings(url: &str) -> Result<TlsSettings, Error> {
        let Parameters { config, tls, .. } = conninfo::read(url)?;
        tls.resolve(&config)
    }

    fn mode(url: &str) -> SslMode {
        settings(url).unwrap().mode
    }

    #[test]
    fn each_mode_is_what_it_says() {
        assert_eq!(mode("host=db"), SslMode::Prefer);
        assert_eq!(mode("host=db sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("host=db sslmode=prefer"), SslMode::Prefer);
        assert_eq!(mode("host=db sslmode=require"), SslMode::Require);
        assert_eq!(
            mode("host=db sslmode=verify-ca sslrootcert=/ca.pem"),
            SslMode::VerifyCa
        );
        assert_eq!(mode("host=db sslmode=verify-full"), SslMode::VerifyFull);
        assert_eq!(
            settings("host=db sslmode=verify-full").unwrap().roots,
            Roots::System
        );
    }

    #[test]
    fn naming_roots_is_asking_for_verification() {
        for url in [
            "host=db sslrootcert=/ca.pem",
            "host=db sslmode=prefer sslrootcert=/ca.pem",
            "host=db sslmode=require sslrootcert=system",
        ] {
            assert_eq!(mode(url), SslMode::VerifyFull, "{url}");
        }
        assert_eq!(
            mode("host=db sslmode=require sslrootcert=/ca.pem"),
            SslMode::VerifyCa
        );
        assert_eq!(
            mode("host=db sslmode=disable sslrootcert=/ca.pem"),
            SslMode::Disable
        );
    }

    #[test]
    fn a_public_authority_is_not_enough_without_the_name() {
        for url in [
            "host=db sslmode=verify-ca",
            "host=db sslmode=verify-ca sslrootcert=system",
        ] {
            assert!(settings(url).unwrap_err().is_config(), "{url}");
        }
    }

    #[test]
    fn half_a_client_certificate_is_rejected() {
        for url in [
            "host=db sslmode=require sslcert=/c.pem",
            "host=db sslmode=require sslkey=/k.pem",
        ] {
            let error = settings(url).unwrap_err();
            assert!(
                error.to_string().contains("`sslcert` and `sslkey`"),
                "{error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_unix_socket_has_no_tls() {
        let verified = "sslmode=verify-full";
        assert_eq!(
            mode(&format!("postgres://%2Frun/app?{verified}")),
            SslMode::Disable
        );
        let both = format!("postgres://%2Frun,db/app?{verified}");
        assert!(settings(&both).unwrap_err().is_config());
        assert_eq!(mode("postgres://%2Frun,db/app"), SslMode::Prefer);
    }
}
