//! A secret provisioner, or attestation server, that remembers what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// What it does with every request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Answers(u16),
    Sends(&'static str),
    NeverAnswers,
}

/// Heads and bodies.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

pub(crate) struct FakeKeeper {
    pub(crate) address: SocketAddr,
    received: Requests,
    serving: AbortHandle,
}

impl Drop for FakeKeeper {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl FakeKeeper {
    pub(crate) async fn start(fate: Fate) -> Self {
        Self::serve(fate, None).await
    }

    /// Behind TLS with this certificate.
    pub(crate) async fn with_tls(pair: &CertifiedKey<KeyPair>) -> Self {
        let key = PrivateKeyDer::Pkcs8(pair.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(vec![pair.cert.der().clone()], key).unwrap();
        Self::serve(Fate::Answers(200), Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn serve(fate: Fate, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let remember = Arc::clone(&received);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (remember, tls) = (Arc::clone(&remember), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer(stream, fate, &remember).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => answer(stream, fate, &remember).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, received, serving: serving.abort_handle() }
    }

    /// Heads and bodies of the requests so far.
    pub(crate) fn received(&self) -> Vec<(String, Vec<u8>)> {
        self.received.lock().unwrap().clone()
    }

    /// The one request there was.
    pub(crate) fn only_request(&self) -> (String, String) {
        let mut received = self.received();
        assert_eq!(received.len(), 1);
        let (head, body) = received.remove(0);
        (head, String::from_utf8(body).unwrap())
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://{}", self.address).parse().unwrap()
    }
}

async fn answer(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    fate: Fate,
    remember: &Mutex<Vec<(String, Vec<u8>)>>,
) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if bytes.len() >= end + 4 + length.unwrap_or(0) {
            break (head, bytes[end + 4..].to_vec());
        }
    };
    remember.lock().unwrap().push((head, body));
    match fate {
        Fate::NeverAnswers => std::future::pending().await,
        Fate::Answers(_) | Fate::Sends(_) => {
            let (status, body) = match fate {
                Fate::Answers(status) => (status, ""),
                Fate::Sends(body) => (200, body),
                Fate::NeverAnswers => unreachable!("was looked at before"),
            };
            let length = body.len();
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.ok()?;
            stream.shutdown().await.ok()
        }
    }
}
