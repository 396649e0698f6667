//! Evidence on development machines: the program `strongroom-simulator` plays hypervisor and guest agent for one run. What it
//! measures is real (guest program, image, command); that hardware protected any of it is not.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256, Sha384};
use strongroom_protocol::B256;
use strongroom_protocol::release::APP_IMAGE_EVENT;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// Name of the event by which the command line is measured: SHA-256 over each argument and a zero byte.
const COMMAND_EVENT: &str = "strongroom-app-command";
/// How long the simulator may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no simulated evidence.
#[derive(Debug, thiserror::Error)]
pub enum SimulatedError {
    /// The guest program cannot be read.
    #[error("the guest {} cannot be read; check runtime.guest", path.display())]
    Guest {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The simulator cannot be started.
    #[error("the simulator {} cannot be started; check runtime.native.simulator", path.display())]
    Simulator {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ended or did not listen.
    #[error("the simulator does not listen; on a machine with real confidential hardware it never does")]
    Deaf,
    /// It did not take an event.
    #[error("the simulator did not measure {event}")]
    Event {
        /// Which event.
        event: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// What identifies the platform of a simulated enclave: it follows from the guest program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulatedPlatform {
    /// Measurement of the firmware: SHA-384 of the guest program.
    pub mrtd: [u8; 48],
    /// Registers 0 to 2, each extended once by the same digest.
    pub rtmr: [[u8; 48]; 3],
}

impl SimulatedPlatform {
    /// The platform of the guest program `guest`.
    pub fn of(guest: &[u8]) -> Self {
        let mrtd: [u8; 48] = Sha384::digest(guest).into();
        let extended: [u8; 48] = Sha384::new().chain_update([0; 48]).chain_update(mrtd).finalize().into();
        Self { mrtd, rtmr: [extended; 3] }
    }

    /// The entry by which an SMS approves it (`attestation.images_file`).
    pub fn approval(&self, name: &str) -> String {
        let [rtmr0, rtmr1, rtmr2] = self.rtmr.map(hex::encode);
        format!(
            "[[images]]\nname = \"{name}\"\nmrtd = \"{}\"\nrtmr0 = [\"{rtmr0}\"]\nrtmr1 = \"{rtmr1}\"\nrtmr2 = \"{rtmr2}\"\n",
            hex::encode(self.mrtd)
        )
    }
}

/// A simulator for one run; it ends when this is dropped.
pub(super) struct SimulatedEvidence {
    /// Its socket.
    pub(super) socket: PathBuf,
    _simulator: Child,
}

impl SimulatedEvidence {
    /// Starts one in the folder of a run and has image and command measured.
    pub(super) async fn start(
        simulator: &Path,
        folder: &Path,
        guest: &Path,
        image: B256,
        command: &[String],
    ) -> Result<Self, SimulatedError> {
        let program = tokio::fs::read(guest).await;
        let program = program.map_err(|source| SimulatedError::Guest { path: guest.to_owned(), source })?;
        let digest = hex::encode(SimulatedPlatform::of(&program).mrtd);
        let not_started = |source| SimulatedError::Simulator { path: simulator.to_owned(), source };
        let guest_file = folder.join("guest.json");
        let measured = json!({ "mrtd": digest, "boot": [[digest], [digest], [digest]], "app_name": "SIMULATED" });
        tokio::fs::write(&guest_file, measured.to_string()).await.map_err(not_started)?;
        let socket = folder.join("evidence.sock");
        let mut child = Command::new(simulator)
            .arg("serve")
            .arg("--socket")
            .arg(&socket)
            .arg("--guest")
            .arg(&guest_file)
            // We hold its input, so it ends with us even when we are killed.
            .arg("--until-input-ends")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        let listening = async {
            while UnixStream::connect(&socket).await.is_err() {
                if !matches!(child.try_wait(), Ok(None)) {
                    return Err(SimulatedError::Deaf);
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, listening).await.map_err(|_| SimulatedError::Deaf)??;
        open_to_all(&socket).map_err(not_started)?;
        let mut arguments = Sha256::new();
        for argument in command {
            arguments.update(argument);
            arguments.update([0]);
        }
        emit(&socket, APP_IMAGE_EVENT, image.as_slice()).await?;
        emit(&socket, COMMAND_EVENT, &arguments.finalize()).await?;
        Ok(Self { socket, _simulator: child })
    }
}

/// Users of a sandbox are other users of this machine; the socket is only in theirs.
fn open_to_all(socket: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))
}

async fn emit(socket: &Path, event: &'static str, payload: &[u8]) -> Result<(), SimulatedError> {
    let failed = |source| SimulatedError::Event { event, source };
    let http = reqwest::Client::builder().unix_socket(socket).timeout(PATIENCE).no_proxy().build().map_err(failed)?;
    let body = json!({ "event": event, "payload": hex::encode(payload) });
    let answer = http.post("http://simulator/EmitEvent").json(&body).send().await.map_err(failed)?;
    answer.error_for_status().map(drop).map_err(failed)
}
