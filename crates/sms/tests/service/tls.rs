//! TLS on the listener, and a certificate that is replaced while the service runs.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::raw_http::{Answer, Request};
use super::running::Running;

fn pair() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["sms.test".to_owned()]).unwrap()
}

fn write(folder: &Path, pair: &CertifiedKey<KeyPair>) {
    std::fs::write(folder.join("key.pem"), pair.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("certificate.pem"), pair.cert.pem()).unwrap();
}

/// Asks a service of which only that certificate is trusted.
async fn ask(running: &Running, trusted: &CertifiedKey<KeyPair>, target: &str) -> std::io::Result<Answer> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(running.address).await?;
    let name = ServerName::try_from("sms.test").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    stream.write_all(&Request::new("GET", target).to_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    Ok(Answer::parse(&bytes))
}

#[tokio::test]
async fn a_replaced_certificate_is_used_without_a_restart() {
    let files = tempfile::tempdir().unwrap();
    let (first, second) = (pair(), pair());
    write(files.path(), &first);
    let running = Running::start_with(|config| {
        config.rate_limit.enabled = false;
        config.tls.certificate = Some(files.path().join("certificate.pem"));
        config.tls.key = Some(files.path().join("key.pem"));
        config.tls.reload_ms = 10.try_into().unwrap();
    })
    .await;
    ask(&running, &first, "/version").await.unwrap().assert(200, env!("CARGO_PKG_VERSION"), "first certificate");
    let links = ask(&running, &first, "/actuator").await.unwrap();
    assert!(links.body.contains("https://sms.test/actuator/health"), "{links:?}");
    assert!(ask(&running, &second, "/version").await.is_err());

    write(files.path(), &second);
    while ask(&running, &second, "/version").await.is_err() {}
    assert!(ask(&running, &first, "/version").await.is_err());
}
