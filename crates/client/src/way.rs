//! The way out of an enclave: the network, or a relay with one Unix socket for each origin that the pool allows.
//!
//! The relay's folder holds a file `origins`: a line for each, the origin (`https://host:port`), a space, the name of a socket beside it. What
//! runs through a socket is HTTP or TLS from end to end, so nobody needs to trust the relay. Inside an enclave the root certificates are
//! those compiled in (Mozilla's): the image around the app has none, or any.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

/// Longest wait for a connection, and for the next bytes of an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no way to a URL.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// The pool does not let its enclaves go there.
    #[error("{origin} is not among the places that this pool lets a task reach")]
    NotAllowed {
        /// Scheme, host and port.
        origin: String,
    },
    /// Not `http` or `https`.
    #[error("{url} is neither http nor https")]
    Scheme {
        /// What was to be reached.
        url: String,
    },
    /// The client could not be made.
    #[error("HTTP cannot be prepared; check the system's TLS settings")]
    Setup(#[source] reqwest::Error),
}

/// The way out.
#[derive(Clone, Debug)]
pub enum Way {
    /// The network of this machine.
    Network,
    /// Sockets by origin.
    Relay(BTreeMap<String, PathBuf>),
}

impl Way {
    /// Reads the file `origins` of a relay's folder.
    pub fn through_relay(folder: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(folder.join("origins"))?;
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Ok(Self::Relay(lines.map(|(origin, socket)| (origin.to_owned(), folder.join(socket))).collect()))
    }

    /// A client for `url` and everything else at its origin. It follows no redirects: they may lead elsewhere.
    pub fn client_for(&self, url: &Url) -> Result<reqwest::Client, WayError> {
        let careful = |builder: reqwest::ClientBuilder| {
            builder.redirect(reqwest::redirect::Policy::none()).connect_timeout(PATIENCE).read_timeout(PATIENCE)
        };
        let builder = match self {
            Self::Network => reqwest::Client::builder().no_proxy(),
            Self::Relay(sockets) => {
                let origin = origin(url).ok_or_else(|| WayError::Scheme { url: url.to_string() })?;
                let socket = sockets.get(&origin).ok_or(WayError::NotAllowed { origin })?;
                inside_enclave().unix_socket(socket.as_path())
            }
        };
        careful(builder).build().map_err(WayError::Setup)
    }
}

/// A client that asks the system for nothing: no certificates, no proxy.
pub(crate) fn inside_enclave() -> reqwest::ClientBuilder {
    reqwest::Client::builder().no_proxy().tls_backend_preconfigured(compiled_in_roots())
}

/// TLS that trusts what Mozilla trusts: an image need not bring certificates, and those it brings would be a stranger's.
pub(crate) fn compiled_in_roots() -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of the default protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Scheme, host and port of a web address, as the file `origins` has them; `None` for other addresses.
pub fn origin(url: &Url) -> Option<String> {
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    Some(format!("{}://{}:{}", url.scheme(), url.host_str()?, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_relays_origins_have_a_way() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("origins"), "https://a.example:443 0.sock\nhttp://b.example:81 1.sock\n")
            .unwrap();
        let way = Way::through_relay(folder.path()).unwrap();
        for (url, allowed) in [
            ("https://a.example/x?y", true),
            ("https://a.example:443", true),
            ("http://b.example:81/", true),
            ("http://a.example", false),
            ("https://a.example:444", false),
            ("http://b.example", false),
            ("ftp://a.example", false),
        ] {
            assert_eq!(way.client_for(&url.parse().unwrap()).is_ok(), allowed, "{url}");
        }
        assert!(Way::through_relay(&folder.path().join("nothing")).is_err());
    }
}
