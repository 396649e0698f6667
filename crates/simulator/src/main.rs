//! `strongroom-simulator`: plays the hypervisor and guest agent of a simulated trust domain on a Unix socket, and writes the
//! roots and endorsements that a development deployment needs to accept its quotes.

mod guest_file;

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, Subcommand};
use strongroom_attest::EvidenceKind;
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::agent::{self, GuestAgent, SimulatedGuest};
use strongroom_simulator::vendors::{self, VendorService};
use strongroom_simulator::{IntelMachine, Simulator, files};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

use crate::guest_file::GuestFile;

const BANNER: &str = "\
**********************************************************************
*  SIMULATED EVIDENCE. No hardware stands behind it, nothing that a  *
*  guest keeps in memory is protected. For development only.         *
**********************************************************************";

/// Where a guest inside real confidential hardware finds its device.
const REAL_DEVICES: [&str; 3] = ["/dev/tdx_guest", "/dev/sev-guest", "/dev/nsm"];

#[derive(Parser)]
#[command(
    version,
    about = "Issues simulated evidence under a development root. Nothing it says about an enclave is true."
)]
struct Arguments {
    /// Everything is derived from these 32 bytes in hex, zeros if absent; the same seed gives the same roots.
    #[arg(long, global = true, value_parser = parse_seed)]
    seed: Option<[u8; 32]>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a guest agent on a Unix socket until interrupted.
    Serve {
        /// Path of the socket; must not exist.
        #[arg(long)]
        socket: PathBuf,
        /// JSON file that says what is measured: `mrtd`, `boot`, `app_compose` or `compose_hash`, `app_id`, `instance_id`,
        /// `os_image_hash`, `key_provider`, `app_name`, `vm_config`. All have defaults.
        #[arg(long)]
        guest: Option<PathBuf>,
        /// Also end when standard input ends: who started this program holds the other end, and takes it along when killed.
        #[arg(long)]
        until_input_ends: bool,
    },
    /// Serve the simulated vendors' key servers (Intel's provisioning service, AMD's key distribution) until interrupted.
    Vendors {
        /// Address and port; port 0 takes a free one. The one taken is printed.
        #[arg(long, default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
    /// Write the root certificates as DER files into a folder.
    Roots {
        /// The folder; made if absent.
        folder: PathBuf,
    },
    /// Write Intel endorsements for the simulated machine to standard output: the JSON set that verifiers import.
    Endorsements {
        /// `sgx` or `tdx`.
        #[arg(long, default_value = "tdx")]
        kind: EvidenceKind,
        /// Seconds since 1970 at which they are current; now if absent.
        #[arg(long)]
        at: Option<u64>,
    },
}

fn parse_seed(text: &str) -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    hex::decode_to_slice(text, &mut seed).map_err(|_| "a seed is 64 hex digits".to_owned())?;
    Ok(seed)
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    show_banner();
    let simulator = Simulator::from_seed(arguments.seed.unwrap_or_default());
    match arguments.command {
        Command::Serve { socket, guest, until_input_ends } => {
            serve(simulator, &socket, guest.as_deref(), until_input_ends)
        }
        Command::Vendors { listen } => serve_vendors(simulator, listen),
        Command::Roots { folder } => {
            files::write_roots(&simulator, &folder).with_context(|| format!("cannot write into {}", folder.display()))
        }
        Command::Endorsements { kind, at } => write_endorsements(&simulator, kind, at.map_or_else(now, UnixSeconds)),
    }
}

#[expect(clippy::print_stderr, reason = "nobody may overlook it")]
fn show_banner() {
    eprintln!("{BANNER}");
}

#[expect(clippy::disallowed_methods, reason = "the one place where this program asks the clock")]
fn now() -> UnixSeconds {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixSeconds(since_1970.map_or(0, |elapsed| elapsed.as_secs()))
}

#[tokio::main]
async fn serve(
    simulator: Simulator,
    socket: &Path,
    guest: Option<&Path>,
    until_input_ends: bool,
) -> anyhow::Result<()> {
    if let Some(device) = REAL_DEVICES.iter().find(|device| Path::new(device).exists()) {
        bail!("{device} exists: this machine gives real evidence and a simulator must not take its place");
    }
    let guest = guest.map_or_else(|| Ok(SimulatedGuest::default()), read_guest)?;
    let agent = Arc::new(GuestAgent::start(simulator, IntelMachine::default(), guest));
    ensure!(!socket.exists(), "{} exists; remove it if no other simulator uses it", socket.display());
    let listener = UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
    let interrupted = interrupted()?;
    let stop = async move {
        tokio::select! {
            () = interrupted => (),
            () = input_ended(), if until_input_ends => (),
        }
    };
    let served = agent::serve(listener, agent, stop).await.context("cannot accept connections");
    fs::remove_file(socket).with_context(|| format!("cannot remove {}", socket.display()))?;
    served
}

#[tokio::main]
async fn serve_vendors(simulator: Simulator, listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    let address = listener.local_addr().context("cannot tell the port taken")?;
    writeln!(std::io::stdout(), "http://{address}").context("cannot write to standard output")?;
    let service = Arc::new(VendorService::new(simulator, now()));
    vendors::serve(listener, service, interrupted()?).await.context("cannot accept connections")
}

/// Completes on SIGTERM or Ctrl-C.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => (),
            _ = tokio::signal::ctrl_c() => (),
        }
    })
}

/// Completes when standard input ends. Read by a thread of its own, which the end of this program does not wait for.
async fn input_ended() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An input that cannot be read has ended too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}

fn read_guest(path: &Path) -> anyhow::Result<SimulatedGuest> {
    let json = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: GuestFile = serde_json::from_slice(&json).with_context(|| format!("cannot use {}", path.display()))?;
    Ok(file.into())
}

fn write_endorsements(simulator: &Simulator, kind: EvidenceKind, at: UnixSeconds) -> anyhow::Result<()> {
    ensure!(matches!(kind, EvidenceKind::Sgx | EvidenceKind::Tdx), "Intel speaks of sgx and tdx only");
    let json = files::intel_set(simulator, kind, at);
    writeln!(std::io::stdout(), "{json:#}").context("cannot write to standard output")
}
