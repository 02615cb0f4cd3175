//! Whether pglock's own sessions are encrypted, and how the server is verified.

#[cfg(feature = "rustls")]
pub(crate) mod handshake;
mod settings;

use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "rustls")]
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Client, Config, NoTls};

use crate::error::{Error, Failure};

pub(super) use settings::{Roots, SslMode, TlsOptions};

use settings::TlsSettings;

/// How a database's sessions are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    options: TlsOptions,
    settings: TlsSettings,
}

impl Tls {
    /// Combines the options, sets them in the driver's `config`, and reads the files once, so that a mistake shows before the
    /// first lock.
    pub(super) fn new(options: TlsOptions, config: &mut Config) -> Result<Self, Error> {
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
        Ok(Self { options, settings })
    }

    pub(super) fn options(&self) -> &TlsOptions {
        &self.options
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

#[cfg(feature = "rustls")]
impl Tls {
    /// As in libpq: `prefer` falls back to a session without encryption.
    fn falls_back(&self, error: &tokio_postgres::Error) -> bool {
        self.settings.mode == SslMode::Prefer && is_of_encryption(error)
    }
}

/// The future that does the IO of a session until its end.
pub(crate) type Driver = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>;

/// Connects, with or without encryption.
#[cfg_attr(
    not(feature = "rustls"),
    expect(unused_variables, reason = "without the feature nothing is encrypted")
)]
pub(super) async fn connect(config: &Config, tls: &Tls) -> Result<(Client, Driver), Failure> {
    #[cfg(feature = "rustls")]
    if let Some(connector) =
        handshake::connector(&tls.settings).map_err(Failure::before_connecting)?
    {
        match config.connect(connector).await {
            Err(error) if tls.falls_back(&error) => {}
            connected => {
                let (client, connection) = connected?;
                return Ok((client, Box::pin(connection)));
            }
        }
    }
    let (client, connection) = config.connect(NoTls).await?;
    Ok((client, Box::pin(connection)))
}

/// Like [`connect`], over a stream that `open` connects to the host of a name.
#[cfg_attr(
    not(feature = "rustls"),
    expect(unused_variables, reason = "without the feature nothing is encrypted")
)]
pub(super) async fn connect_over<S, W>(
    config: &Config,
    tls: &Tls,
    open: impl AsyncFn() -> Result<(S, W, String), Failure>,
) -> Result<(Client, Driver, W), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    #[cfg(feature = "rustls")]
    if let Some(mut connector) =
        handshake::connector(&tls.settings).map_err(Failure::before_connecting)?
    {
        let (stream, switch, name) = open().await?;
        let connect = MakeTlsConnect::<S>::make_tls_connect(&mut connector, &name);
        let connect = connect.map_err(|error| Failure::before_connecting(error.to_string()))?;
        match config.connect_raw(stream, connect).await {
            Err(error) if tls.falls_back(&error) => {}
            connected => {
                let (client, connection) = connected?;
                return Ok((client, Box::pin(connection), switch));
            }
        }
    }
    let (stream, switch, _) = open().await?;
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    Ok((client, Box::pin(connection), switch))
}

/// Whether connecting without TLS could succeed.
#[cfg(feature = "rustls")]
fn is_of_encryption(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::SqlState;
    // pg_hba.conf may have lines for sessions that are not encrypted only.
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) || is_handshake(error)
}

/// Whether the handshake failed, before anything else was sent. Only the text of the driver's error says so.
#[cfg(feature = "rustls")]
fn is_handshake(error: &tokio_postgres::Error) -> bool {
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
