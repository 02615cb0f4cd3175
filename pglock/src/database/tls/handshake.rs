//! TLS with rustls. Its cryptography is ring, which needs a C compiler but no cmake.

use std::io;
use std::path::Path;
use std::sync::Arc;

use once_cell::race::OnceBox;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::settings::{Identity, Roots, SslMode, TlsSettings};
use crate::error::Error;

/// The connector that does the handshakes; `None` when TLS is disabled.
///
/// It reads the files for each session, so that a renewed certificate is used without a restart.
pub(super) fn connector(settings: &TlsSettings) -> Result<Option<MakeRustlsConnect>, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match settings.mode {
        SslMode::Disable => return Ok(None),
        SslMode::Allow | SslMode::Prefer | SslMode::Require => Arc::new(AnyName {
            roots: None,
            provider: provider.clone(),
        }),
        SslMode::VerifyCa => Arc::new(AnyName {
            roots: Some(store(&settings.roots)?),
            provider: provider.clone(),
        }),
        SslMode::VerifyFull => {
            let roots = store(&settings.roots)?;
            WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                .build()
                .map_err(|error| Error::tls(UNUSABLE, error))?
        }
    };
    configured(provider, verifier, settings.identity.as_ref()).map(Some)
}

/// A connector that verifies nothing, for a server that receives no secret.
pub(super) fn unverified() -> Option<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(AnyName {
        roots: None,
        provider: provider.clone(),
    });
    configured(provider, verifier, None).ok()
}

/// The same for a stream to the host of this name.
pub(super) fn unverified_for<S>(name: &str) -> Option<impl TlsConnect<S, Stream: Unpin>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    MakeTlsConnect::<S>::make_tls_connect(&mut unverified()?, name).ok()
}

const UNUSABLE: &str =
    "cannot use the files of the database URL for TLS; print this error with `{:?}` to see why";

fn configured(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<&Identity>,
) -> Result<MakeRustlsConnect, Error> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::tls(UNUSABLE, error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                let key = key.display();
                Error::tls(
                    format!("cannot read the key {key} of the client certificate; name a file in PEM format, without a password"),
                    error,
                )
            })?;
            config.with_client_auth_cert(chain, key).map_err(|error| {
                Error::tls(
                    "the client certificate does not match its key; name the two files of one pair",
                    error,
                )
            })?
        }
    };
    // Required by `sslnegotiation=direct`, and harmless otherwise.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unread = |error| {
        let path = path.display();
        Error::tls(
            format!("cannot read the certificates in {path}; name a file in PEM format"),
            error,
        )
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .map_err(unread)?
        .collect::<Result<_, _>>()
        .map_err(unread)?;
    if certificates.is_empty() {
        let path = path.display();
        return Err(Error::config(format!(
            "there is no certificate in {path}; name a file in PEM format"
        )));
    }
    Ok(certificates)
}

fn store(roots: &Roots) -> Result<Arc<RootCertStore>, Error> {
    match roots {
        Roots::System => system_store(),
        Roots::File(path) => {
            let mut store = RootCertStore::empty();
            for certificate in certificates(path)? {
                store
                    .add(certificate)
                    .map_err(|error| Error::tls(UNUSABLE, error))?;
            }
            Ok(Arc::new(store))
        }
    }
}

/// Read only once, since there are hundreds of certificates.
fn system_store() -> Result<Arc<RootCertStore>, Error> {
    // Without a lock, which a fork could copy as it is taken.
    static SYSTEM: OnceBox<Arc<RootCertStore>> = OnceBox::new();
    SYSTEM
        .get_or_try_init(|| {
            let mut store = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            // Some of them are too old for rustls; ignore those.
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                return Err(Error::config(
                    "this machine has no certificate authorities to verify the server with; install its package `ca-certificates`, or name a file as `sslrootcert`",
                ));
            }
            Ok(Box::new(Arc::new(store)))
        })
        .cloned()
}

/// Trusts a certificate for any host name if one of the roots has signed it, and any certificate without roots. The server
/// must still prove that it has the certificate's key, on which channel binding relies.
#[derive(Debug)]
struct AnyName {
    roots: Option<Arc<RootCertStore>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(end_entity)?,
                roots,
                intermediates,
                now,
                self.provider.signature_verification_algorithms.all,
            )?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The cause and the remedy, if the error is one of rustls.
pub(crate) fn why_no_session(error: &io::Error) -> Option<&'static str> {
    // `source()` of an `io::Error` skips the error that it wraps.
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(why) => why_not_trusted(why),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateExpired,
        ) => {
            "the server does not trust the client certificate; name one that its `ssl_ca_file` has signed, as `sslcert` and `sslkey`"
        }
        _ => {
            "the server and this client found no common encryption; use TLS 1.2 or newer on both, and print this error with `{:?}` for the details"
        }
    })
}

fn why_not_trusted(why: &CertificateError) -> &'static str {
    match why {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is not signed by an authority that is trusted here; name its authority as `sslrootcert`"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another host name; connect by a name that is among its subject alternative names, or use `sslmode=verify-ca`"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired; renew it"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet; check the clocks of server and client"
        }
        // rustls has no variant for it.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server's certificate is that of an authority, not one that it signed; give the server its own certificate, without `CA:TRUE`"
        }
        _ => {
            "the server's certificate cannot be trusted; use one of version 3, with the host among its subject alternative names, and print this error with `{:?}` for the details"
        }
    }
}
