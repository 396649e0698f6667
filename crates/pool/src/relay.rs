//! The enclave's only way out: one Unix socket for each origin that a task may reach, and nothing else. A socket leads to exactly one
//! host and port, byte for byte; TLS runs through it from end to end. Untrusted plumbing: what passes is sealed, checked or public.
//!
//! Where deals name an origin, its address must be a public one: a deal must not open the pool's own network to its enclave.
//!
//! The file `origins` beside the sockets has a line for each: the origin, a space, the name of the socket.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, info};

use crate::runner::origins::Origin;

/// The origin under which an enclave reaches its worker.
pub const WORKER_ORIGIN: &str = "http://worker:80";
const WORKER_SOCKET: &str = "w.sock";
/// Connections of one socket at once; more wait.
const MAX_CONNECTIONS: usize = 32;
/// Longest wait for a connection to the destination.
const DIAL_PATIENCE: Duration = Duration::from_secs(15);

/// The open ways of one task. Dropping it closes them.
#[derive(Debug)]
pub struct Relay {
    _serving: JoinSet<()>,
}

/// Where a socket leads.
#[derive(Clone, Debug)]
enum Destination {
    /// A host and port.
    Host {
        host: String,
        port: u16,
        /// Whether private addresses are refused.
        public_only: bool,
    },
    /// The callbacks of the task.
    Worker(PathBuf),
}

impl Relay {
    /// Opens a socket for each of `origins` in `folder`, and one to the callbacks at `worker`. Must be called inside the asynchronous
    /// runtime. Addresses of origins that only a deal names are checked unless `danger_allow_private`.
    pub fn start(folder: &Path, origins: &[Origin], worker: &Path, danger_allow_private: bool) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut serving = JoinSet::new();
        let mut lines = String::new();
        let mut open = |origin: &str, socket: String, destination| -> io::Result<()> {
            let path = folder.join(&socket);
            let listener = UnixListener::bind(&path)?;
            // The enclave's users are other users here; who reaches the folder may connect.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
            serving.spawn(serve(listener, destination));
            writeln!(lines, "{origin} {socket}").map_err(io::Error::other)?;
            Ok(())
        };
        open(WORKER_ORIGIN, WORKER_SOCKET.to_owned(), Destination::Worker(worker.to_owned()))?;
        for (number, origin) in origins.iter().enumerate() {
            let public_only = !origin.is_configured && !danger_allow_private;
            let destination = destination(&origin.origin, public_only)?;
            open(&origin.origin, format!("{number}.sock"), destination)?;
        }
        // They read it too, whatever the umask of the pool is.
        let list = folder.join("origins");
        fs::write(&list, lines)?;
        fs::set_permissions(&list, fs::Permissions::from_mode(0o644))?;
        Ok(Self { _serving: serving })
    }
}

fn destination(origin: &str, public_only: bool) -> io::Result<Destination> {
    let malformed = || io::Error::new(io::ErrorKind::InvalidInput, format!("{origin} is not an origin with a port"));
    let (_, authority) = origin.split_once("://").ok_or_else(malformed)?;
    let (host, port) = authority.rsplit_once(':').ok_or_else(malformed)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Destination::Host { host, port: port.parse().map_err(|_| malformed())?, public_only })
}

async fn serve(listener: UnixListener, destination: Destination) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((inside, _)) = listener.accept().await else { continue };
        let destination = destination.clone();
        connections.spawn(async move {
            let _place = place;
            match destination {
                Destination::Host { host, port, public_only } => match dial(&host, port, public_only).await {
                    Ok(outside) => pipe(inside, outside).await,
                    Err(error) => info!(host, port, %error, "an enclave's connection was not made"),
                },
                Destination::Worker(socket) => match UnixStream::connect(&socket).await {
                    Ok(outside) => pipe(inside, outside).await,
                    Err(error) => info!(%error, "an enclave could not reach its worker"),
                },
            }
        });
    }
}

async fn pipe(mut inside: UnixStream, mut outside: impl AsyncRead + AsyncWrite + Unpin) {
    match tokio::io::copy_bidirectional(&mut inside, &mut outside).await {
        Ok((sent, received)) => debug!(sent, received, "an enclave's connection ended"),
        Err(error) => debug!(%error, "an enclave's connection broke"),
    }
}

/// Looks the host up once and connects to an address that was checked: a second look-up could give another.
async fn dial(host: &str, port: u16, public_only: bool) -> io::Result<TcpStream> {
    let connecting = async {
        let mut refused = None;
        for address in lookup_host((host, port)).await? {
            if public_only && !is_public(address.ip()) {
                refused = Some(address);
                continue;
            }
            if let Ok(stream) = TcpStream::connect(address).await {
                return Ok(stream);
            }
        }
        Err(match refused {
            Some(address) => private_address(address),
            None => io::Error::new(io::ErrorKind::NotConnected, "no address of the host answers"),
        })
    };
    tokio::time::timeout(DIAL_PATIENCE, connecting).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn private_address(address: SocketAddr) -> io::Error {
    let text = format!("{} is not a public address, and a deal may name no other", address.ip());
    io::Error::new(io::ErrorKind::PermissionDenied, text)
}

/// Whether an address is one of the public internet (the IANA registries of special-purpose addresses, read strictly).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b)) // shared by carriers
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)); // benchmarks
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    match segments {
        // Version 4 in other clothes: mapped, and translated by NAT64.
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            let [.., a, b, c, d] = address.octets();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        // 6to4 and Teredo lead to version 4 addresses; documentation leads nowhere.
        [0x2002, ..] | [0x2001, 0 | 0xdb8, ..] => false,
        // Only this eighth is handed out.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers each connection with what it got, in capitals.
    async fn shouter() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                stream.write_all(text.to_uppercase().as_bytes()).await.unwrap();
            }
        });
        port
    }

    async fn ask(socket: &Path) -> String {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        // A destination that is refused closes at once.
        let _ = stream.write_all(b"hello").await;
        let _ = stream.shutdown().await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    fn origin(port: u16, is_configured: bool) -> Origin {
        Origin { origin: format!("http://127.0.0.1:{port}"), is_configured }
    }

    #[tokio::test]
    async fn each_origin_has_its_socket_and_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (shouter().await, shouter().await);
        let relay = Relay::start(
            folder.path(),
            &[origin(one, true), origin(other, true)],
            &folder.path().join("none.sock"),
            false,
        );
        let relay = relay.unwrap();
        let origins = fs::read_to_string(folder.path().join("origins")).unwrap();
        assert_eq!(
            origins,
            format!("http://worker:80 w.sock\nhttp://127.0.0.1:{one} 0.sock\nhttp://127.0.0.1:{other} 1.sock\n")
        );
        assert_eq!(ask(&folder.path().join("0.sock")).await, "HELLO");
        assert_eq!(ask(&folder.path().join("1.sock")).await, "HELLO");
        drop(relay);
        tokio::task::yield_now().await;
        assert!(UnixStream::connect(folder.path().join("0.sock")).await.is_err(), "closed with the relay");
    }

    #[tokio::test]
    async fn a_deal_does_not_open_the_pools_own_network() {
        let folder = tempfile::tempdir().unwrap();
        let port = shouter().await;
        for (allowed, answer) in [(false, ""), (true, "HELLO")] {
            let folder = folder.path().join(answer);
            let _relay = Relay::start(&folder, &[origin(port, false)], &folder.join("none.sock"), allowed).unwrap();
            assert_eq!(ask(&folder.join("0.sock")).await, answer);
            fs::remove_dir_all(&folder).unwrap();
        }
    }

    #[test]
    fn special_addresses_are_not_public() {
        for special in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "203.0.113.5",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in ["8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "2606:4700:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn origins_are_read_with_their_ports() {
        assert!(
            matches!(destination("https://[::1]:443", false), Ok(Destination::Host { host, port: 443, .. }) if host == "::1")
        );
        assert!(destination("https://host", false).is_err());
    }
}
