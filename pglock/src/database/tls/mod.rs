//! Whether pglock's own sessions are encrypted, and how sure they are of whom they talk to.

#[cfg(feature = "rustls")]
pub(crate) mod handshake;
mod settings;
mod text;

use std::pin::Pin;

use tokio_postgres::{Client, Config, NoTls};

use crate::error::{Error, Failure};

pub(crate) use settings::TlsOptions;
pub(crate) use text::taken_out_of;

use settings::{SslMode, TlsSettings};

/// How a database's sessions are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    asked: TlsOptions,
    settled: TlsSettings,
}

impl Tls {
    /// Decides, tells the driver's `config`, and reads the files once, so that a mistake shows before the first lock.
    pub(crate) fn new(asked: TlsOptions, config: &mut Config) -> Result<Self, Error> {
        let settled = asked.settled(config)?;
        if settled.mode > SslMode::Prefer && !cfg!(feature = "rustls") {
            return Err(Error::config(
                "the database url asks for TLS, which this build of pglock can't do; turn on pglock's feature `rustls`, or use `sslmode=disable` on a trusted network",
            ));
        }
        config.ssl_mode(settled.mode.of_driver());
        if config.get_hosts().is_empty() {
            // The name in the server's certificate: the driver asks for one, even where it is not compared.
            for address in config.get_hostaddrs().to_vec() {
                config.host(address.to_string());
            }
        }
        #[cfg(feature = "rustls")]
        handshake::connector(&settled)?;
        Ok(Self { asked, settled })
    }

    pub(crate) fn asked(&self) -> &TlsOptions {
        &self.asked
    }
}

/// What moves the bytes of a session, until its end.
pub(crate) type Driver = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>>>>;

/// Connects, encrypted or not as `tls` says.
#[cfg_attr(
    not(feature = "rustls"),
    expect(unused_variables, reason = "without the feature nothing is encrypted")
)]
pub(crate) async fn connect(config: &Config, tls: &Tls) -> Result<(Client, Driver), Failure> {
    #[cfg(feature = "rustls")]
    {
        let settled = &tls.settled;
        if let Some(connector) =
            handshake::connector(settled).map_err(Failure::before_connecting)?
        {
            match config.connect(connector).await {
                // As libpq: `prefer` asks for no safety, so what can't be had encrypted is had without.
                Err(error) if settled.mode == SslMode::Prefer && is_of_encryption(&error) => {}
                connected => {
                    let (client, connection) = connected?;
                    return Ok((client, Box::pin(connection)));
                }
            }
        }
    }
    let (client, connection) = config.connect(NoTls).await?;
    Ok((client, Box::pin(connection)))
}

/// Whether it could be otherwise without TLS.
#[cfg(feature = "rustls")]
fn is_of_encryption(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::SqlState;
    // pg_hba.conf may have lines for sessions that are not encrypted only.
    error.code() == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION) || is_handshake(error)
}

/// Whether the driver failed between the socket and the greeting; it tells it in its text alone.
#[cfg(feature = "rustls")]
fn is_handshake(error: &tokio_postgres::Error) -> bool {
    error
        .to_string()
        .starts_with("error performing TLS handshake")
}

/// Asks the server to cancel what a connection of the caller's runs: encrypted where its settings insist on it.
///
/// The certificate is not verified: whoever sits in between learns no more than how to cancel, and could cut the line.
pub(crate) async fn cancel(
    token: &tokio_postgres::CancelToken,
) -> Result<(), tokio_postgres::Error> {
    let answer = token.cancel_query(NoTls).await;
    #[cfg(feature = "rustls")]
    if let Err(error) = &answer
        // Then no request was sent yet, and this is the only one.
        && is_handshake(error)
        && let Some(connector) = handshake::unverified()
    {
        return token.cancel_query(connector).await;
    }
    answer
}
