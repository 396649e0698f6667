//! TLS 1.2 and 1.3 with a certificate that can be replaced on disk while the service runs.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use subtle::ConstantTimeEq as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{error, info};
use zeroize::Zeroizing;

use crate::config::TlsConfig;

/// Why the files for TLS are not usable.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the files cannot be read.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// One of the files is not what it should be.
    #[error("{} does not hold what TLS needs; expected PEM with a certificate chain or a private key", file.display())]
    NotPem {
        /// Which.
        file: PathBuf,
    },
    /// The two files do not belong together, or the key is of a sort that is not supported.
    #[error("certificate and private key do not fit each other")]
    Mismatch(#[source] rustls::Error),
}

/// Makes TLS sessions with the newest usable certificate.
#[derive(Clone)]
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<CurrentCertificate>,
}

impl Tls {
    /// Reads the files; none are named when TLS is off.
    pub(crate) fn from_config(config: &TlsConfig) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else { return Ok(None) };
        let current = Arc::new(CurrentCertificate::load(certificate.clone(), key.clone())?);
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { acceptor: TlsAcceptor::from(Arc::new(server)), certificate: current }))
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Compares the files with what is in use, for ever. Files that are not usable are reported and change nothing.
    pub(crate) async fn reload_regularly(self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            let certificate = Arc::clone(&self.certificate);
            match tokio::task::spawn_blocking(move || certificate.reload_if_changed()).await {
                Ok(Ok(true)) => info!("a new TLS certificate is in use"),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => {
                    error!(
                        error = &error as &dyn std::error::Error,
                        "the new TLS files are not usable; the old ones stay"
                    );
                }
            }
        }
    }
}

struct CurrentCertificate {
    certificate: PathBuf,
    key: PathBuf,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    /// What the files held, to see whether they changed.
    files: Files,
    certified: Arc<CertifiedKey>,
}

struct Files {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl CurrentCertificate {
    fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = Files::read(&certificate, &key)?;
        let certified = files.certified(&certificate, &key)?;
        Ok(Self { certificate, key, loaded: RwLock::new(Loaded { files, certified }) })
    }

    fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let files = Files::read(&self.certificate, &self.key)?;
        if files.hold_the_same_as(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).files) {
            return Ok(false);
        }
        let certified = files.certified(&self.certificate, &self.key)?;
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Loaded { files, certified };
        Ok(true)
    }
}

impl Files {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read =
            |file: &Path| std::fs::read(file).map_err(|source| TlsError::Unreadable { file: file.to_owned(), source });
        Ok(Self { certificate: read(certificate)?, key: Zeroizing::new(read(key)?) })
    }

    fn hold_the_same_as(&self, other: &Self) -> bool {
        self.certificate == other.certificate && self.key.ct_eq(&other.key).into()
    }

    fn certified(&self, certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
        let not_pem = |file: &Path| TlsError::NotPem { file: file.to_owned() };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| not_pem(certificate))?;
        if chain.is_empty() {
            return Err(not_pem(certificate));
        }
        let private_key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| not_pem(key))?;
        CertifiedKey::from_der(chain, private_key, &ring::default_provider()).map(Arc::new).map_err(TlsError::Mismatch)
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

impl fmt::Debug for CurrentCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentCertificate").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, pair: &rcgen::CertifiedKey<rcgen::KeyPair>) {
            std::fs::write(self.path("certificate"), pair.cert.pem()).unwrap();
            std::fs::write(self.path("key"), pair.signing_key.serialize_pem()).unwrap();
        }

        fn load(&self) -> Result<CurrentCertificate, TlsError> {
            CurrentCertificate::load(self.path("certificate"), self.path("key"))
        }
    }

    fn pair() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(["sms.test".to_owned()]).unwrap()
    }

    fn in_use(current: &CurrentCertificate) -> Vec<u8> {
        current.loaded.read().unwrap().certified.cert[0].to_vec()
    }

    #[test]
    fn changed_files_are_taken_into_use_and_unusable_ones_are_not() {
        let folder = Folder(tempfile::tempdir().unwrap());
        let (first, second) = (pair(), pair());
        folder.write(&first);
        let current = folder.load().unwrap();
        assert!(!current.reload_if_changed().unwrap());

        folder.write(&second);
        assert!(current.reload_if_changed().unwrap());
        assert_eq!(in_use(&current), second.cert.der().to_vec());

        std::fs::write(folder.path("key"), first.signing_key.serialize_pem()).unwrap();
        assert!(matches!(current.reload_if_changed(), Err(TlsError::Mismatch(_))));
        std::fs::write(folder.path("certificate"), "").unwrap();
        assert!(matches!(current.reload_if_changed(), Err(TlsError::NotPem { .. })));
        std::fs::remove_file(folder.path("key")).unwrap();
        assert!(matches!(current.reload_if_changed(), Err(TlsError::Unreadable { .. })));
        assert_eq!(in_use(&current), second.cert.der().to_vec());
    }

    #[test]
    fn files_that_are_not_usable_are_refused_at_the_start() {
        let folder = Folder(tempfile::tempdir().unwrap());
        assert!(matches!(folder.load(), Err(TlsError::Unreadable { .. })));
        folder.write(&pair());
        std::fs::write(folder.path("key"), "no key").unwrap();
        assert!(matches!(folder.load(), Err(TlsError::NotPem { .. })));
    }
}
