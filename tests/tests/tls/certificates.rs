//! Certificates that are made on the spot, and servers that show them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use pglock::{Database, DatabaseBuilder};
use pglock_tests::{Server, TestDb};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection};
use tempfile::TempDir;

/// Who signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key, in PEM form.
pub(crate) struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = named(name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    /// What goes in as `sslrootcert`.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn sign(&self, name: &str) -> Pair {
        self.sign_until(name, 2999)
    }

    pub(crate) fn sign_until(&self, name: &str, year: i32) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name = named(name);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Pair {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// The authority's own, as the simplest recipe for a server's certificate has it.
    pub(crate) fn itself(&self) -> Pair {
        Pair {
            certificate: self.issuer.pem(),
            key: self.issuer.key().serialize_pem(),
        }
    }

    /// Writes the pair beside the authority's file, and tells the options that name it.
    pub(crate) fn client(&self, pair: &Pair) -> String {
        let (certificate, key) = (
            self.folder.path().join("client.pem"),
            self.folder.path().join("client.key"),
        );
        std::fs::write(&certificate, &pair.certificate).unwrap();
        std::fs::write(&key, &pair.key).unwrap();
        format!("sslcert={}&sslkey={}", certificate.display(), key.display())
    }
}

impl Pair {
    /// A server that shows the certificate and signs with another key, for as long as the test runs.
    pub(crate) fn shown_without_its_key(&self) -> SocketAddr {
        let chain = vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()];
        let other = KeyPair::generate().unwrap().serialize_pem();
        let other = PrivateKeyDer::from_pem_slice(other.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = provider.key_provider.load_private_key(other).unwrap();
        // The resolver doesn't look whether they fit, as `with_single_cert` would.
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for mut socket in listener.incoming().flatten() {
                let mut asks_for_tls = [0; 8];
                let _ = socket.read_exact(&mut asks_for_tls);
                let _ = socket.write_all(b"S");
                let mut session = ServerConnection::new(Arc::clone(&config)).unwrap();
                while session
                    .complete_io(&mut socket)
                    .is_ok_and(|moved| moved != (0, 0))
                {}
            }
        });
        address
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

/// Over TCP, only who is encrypted gets in.
const ENCRYPTED_ONLY: &str = "\
local all all trust
hostssl all scram 127.0.0.1/32 scram-sha-256
hostssl all cert 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 trust
";

/// A server on TCP, and a database there.
pub(crate) struct Tcp {
    pub(crate) db: TestDb,
    pub(crate) server: Server,
    pub(crate) authority: Authority,
}

impl Tcp {
    /// Without TLS.
    pub(crate) fn plain() -> Self {
        let server = Server::builder()
            .tcp(true)
            .setting("log_connections", "on")
            .start();
        Self {
            db: server.create_database(),
            server,
            authority: Authority::new("pglock's tests"),
        }
    }

    /// With a certificate for `localhost`, where over TCP only who is encrypted gets in.
    pub(crate) fn encrypted() -> Self {
        let tcp = Self::plain();
        let pair = tcp.authority.sign("localhost");
        tcp.show(&pair, ENCRYPTED_ONLY);
        tcp.db
            .execute("CREATE ROLE scram LOGIN PASSWORD 'hunter2'; CREATE ROLE cert LOGIN");
        tcp
    }

    /// Starts the server again, with that certificate and those rules.
    pub(crate) fn show(&self, pair: &Pair, rules: &str) {
        self.write("server.crt", &pair.certificate);
        self.write("server.key", &pair.key);
        self.write(
            "clients.crt",
            &std::fs::read_to_string(self.authority.file()).unwrap(),
        );
        self.write("pg_hba.conf", rules);
        std::fs::OpenOptions::new()
            .append(true)
            .open(self.server.data_dir().join("postgresql.conf"))
            .and_then(|mut file| file.write_all(b"ssl = on\nssl_ca_file = 'clients.crt'\n"))
            .unwrap();
        self.server.restart();
    }

    /// A file of the server's, which runs as another user where we are root.
    fn write(&self, name: &str, text: &str) {
        let path = self.server.data_dir().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let owner = Path::metadata(&self.server.data_dir()).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }

    /// The URL by the name that is in the certificate.
    pub(crate) fn url(&self, options: &str) -> String {
        self.url_of("postgres", "localhost", options)
    }

    pub(crate) fn url_of(&self, user: &str, host: &str, options: &str) -> String {
        let url = self.server.tcp_url(self.db.name());
        let url = url.replace("postgres@127.0.0.1", &format!("{user}@{host}"));
        format!("{url}?{options}")
    }

    pub(crate) fn builder(&self, options: &str) -> DatabaseBuilder {
        Database::builder(self.url(options))
    }

    pub(crate) fn database(&self, options: &str) -> Database {
        self.builder(options).build().unwrap()
    }

    /// The option that names the authority that signed for the server.
    pub(crate) fn believed(&self) -> String {
        format!("sslrootcert={}", self.authority.file().display())
    }

    /// Verified, as it should be.
    pub(crate) fn verified(&self) -> Database {
        self.database(&format!("sslmode=verify-full&{}", self.believed()))
    }
}

/// What most tests share; none of them changes it.
pub(crate) fn encrypted() -> &'static Tcp {
    static TCP: LazyLock<Tcp> = LazyLock::new(Tcp::encrypted);
    &TCP
}
