//! Whether pglock's own sessions are encrypted, and how the server is verified.

#[cfg(feature = "rustls")]
pub(crate) mod handshake;
mod settings;

use std::fmt;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::SqlState;
#[cfg(feature = "rustls")]
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Client, Config, NoTls};

use crate::error::{Error, Failure};

pub(super) use settings::{Roots, SslMode, TlsOptions};

use settings::TlsSettings;

/// How a database's sessions are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    settings: TlsSettings,
}

impl Tls {
    /// Combines the options, sets them in the driver's `config`, and reads the files once, so that a mistake shows before the
    /// first lock.
    pub(super) fn new(options: &TlsOptions, config: &mut Config) -> Result<Self, Error> {
        let settings = options.resolve(config)?;
        if settings.mode > SslMode::Prefer && !cfg!(feature = "rustls") {
            return Err(Error::config(
                "the database URL asks for TLS, and pglock is built without it; turn on pglock's feature `rustls`, or use `sslmode=disable` on a trusted network",
            ));
        }
        config.ssl_mode(settings.mode.of_driver());
        if config.get_hosts().is_empty() {
            // The driver needs a host name for the certificate, even if the name is not compared.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        #[cfg(feature = "rustls")]
        handshake::connector(&settings)?;
        Ok(Self { settings })
    }

    /// Sends a cancel request for a session on `stream`, encrypted if sessions have to be. The certificate is not verified:
    /// see [`cancel`].
    #[cfg_attr(
        not(feature = "rustls"),
        expect(unused_variables, reason = "without the feature nothing is encrypted")
    )]
    pub(super) async fn cancel<S>(
        &self,
        token: &CancelToken,
        stream: S,
        name: &str,
    ) -> Result<(), tokio_postgres::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        #[cfg(feature = "rustls")]
        if self.settings.mode > SslMode::Prefer
            && let Some(connector) = handshake::unverified_for(name)
        {
            return token.cancel_query_raw(stream, connector).await;
        }
        token.cancel_query_raw(stream, NoTls).await
    }
}

/// The future that does the IO of a session until its end.
pub(crate) type Driver = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Connects over a stream that `open` connects to the host of a name, with or without encryption.
pub(super) async fn connect<S, W>(
    config: &Config,
    tls: &Tls,
    open: impl AsyncFn() -> Result<(S, W, String), Failure>,
) -> Result<(Client, Driver, W), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let log_in = async |is_encrypted| {
        let (stream, switch, name) = open().await?;
        let (client, driver) = tls.log_in(config, stream, &name, is_encrypted).await?;
        Ok::<_, Failure>((client, driver, switch))
    };
    let encrypted_first = tls.tries_encryption_first();
    match log_in(encrypted_first).await {
        Err(failure) if tls.tries_the_other_after(&failure) => {
            let other = log_in(!encrypted_first).await;
            let hides_the_cause =
                |failure: &Failure| encrypted_first && is_for_encrypted_only(failure);
            if other.as_ref().is_err_and(hides_the_cause) {
                return Err(failure);
            }
            other
        }
        connected => connected,
    }
}

impl Tls {
    fn tries_encryption_first(&self) -> bool {
        cfg!(feature = "rustls") && self.settings.mode >= SslMode::Prefer
    }

    /// As in libpq, two modes try both ways, if the failure may be due to the first one.
    fn tries_the_other_after(&self, failure: &Failure) -> bool {
        match self.settings.mode {
            SslMode::Prefer => cfg!(feature = "rustls") && is_of_encryption(failure),
            SslMode::Allow => cfg!(feature = "rustls") && is_for_encrypted_only(failure),
            _ => false,
        }
    }

    #[cfg_attr(
        not(feature = "rustls"),
        expect(unused_variables, reason = "without the feature nothing is encrypted")
    )]
    async fn log_in<S>(
        &self,
        config: &Config,
        stream: S,
        name: &str,
        is_encrypted: bool,
    ) -> Result<(Client, Driver), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        #[cfg(feature = "rustls")]
        if is_encrypted
            && let Some(mut connector) =
                handshake::connector(&self.settings).map_err(Failure::before_connecting)?
        {
            let connect = MakeTlsConnect::<S>::make_tls_connect(&mut connector, name);
            let connect = connect.map_err(|error| Failure::before_connecting(error.to_string()))?;
            let (client, connection) = config.connect_raw(stream, connect).await?;
            return Ok((client, Box::pin(connection)));
        }
        let (client, connection) = config.connect_raw(stream, NoTls).await?;
        Ok((client, Box::pin(connection)))
    }
}

/// What servers and poolers say to sessions that are not encrypted: Postgres by its `pg_hba.conf`, Postgres before version
/// 14, and managed databases.
const NOT_ENCRYPTED: [&str; 5] = [
    "no encryption",
    "SSL off",
    "SSL required",
    "SSL connection is required",
    "connection is insecure",
];

/// Whether the server may accept the session if it is encrypted.
pub(super) fn is_for_encrypted_only(failure: &Failure) -> bool {
    NOT_ENCRYPTED.iter().any(|text| failure.says(text))
}

/// Whether the server may accept the session if it is not encrypted: `pg_hba.conf` can have lines for those only.
fn is_of_encryption(failure: &Failure) -> bool {
    failure.is(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) || is_handshake(&*failure.source)
}

/// Whether the handshake failed, before anything else was sent. Only the text of the driver's error says so.
fn is_handshake(error: &dyn fmt::Display) -> bool {
    error
        .to_string()
        .starts_with("error performing TLS handshake")
}

/// Sends a cancel request for a connection of the caller's, encrypted if its settings insist on it.
///
/// The certificate is not verified: an attacker in between learns only how to cancel, and could cut the connection anyway.
pub(crate) async fn cancel(token: &CancelToken) -> Result<(), tokio_postgres::Error> {
    let answer = token.cancel_query(NoTls).await;
    #[cfg(feature = "rustls")]
    if let Err(error) = &answer
        // No request was sent in that case, so this is not a second one.
        && is_handshake(error)
        && let Some(connector) = handshake::unverified()
    {
        return token.cancel_query(connector).await;
    }
    answer
}
