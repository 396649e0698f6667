//! A simulated enclave in this process, as the software in it sees one: a guest agent that gives evidence over a Unix socket. Nothing in it
//! is protected.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_primitives::B256;
use strongroom_grant::enclave::APP_IMAGE_EVENT;
use strongroom_simulator::agent::{self, GuestAgent, SimulatedGuest};
use strongroom_simulator::{IntelMachine, Simulator, TdxMeasured};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

/// A running simulated enclave. Dropping it stops it.
#[derive(Debug)]
pub struct SimulatedEnclave {
    socket: PathBuf,
    _folder: TempDir,
    serving: JoinHandle<()>,
}

impl SimulatedEnclave {
    /// Starts one on `machine`, with what was measured of its platform, in which the app's image has the digest `image`. This function
    /// plays the hypervisor: the image is measured before anything within can say a word. Must be called in a runtime of tokio.
    pub fn start(simulator: Simulator, machine: IntelMachine, platform: TdxMeasured, image: B256) -> io::Result<Self> {
        let guest = SimulatedGuest { image: platform, ..SimulatedGuest::default() };
        let agent = Arc::new(GuestAgent::start(simulator, machine, guest));
        agent.emit_event(APP_IMAGE_EVENT, image.as_slice()).map_err(io::Error::other)?;
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("dstack.sock");
        let listener = UnixListener::bind(&socket)?;
        let serving = tokio::spawn(async move {
            // Who asks it learns from the broken connection.
            let _ = agent::serve(listener, agent, std::future::pending()).await;
        });
        Ok(Self { socket, _folder: folder, serving })
    }

    /// Where its guest agent answers, as dstack's does.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for SimulatedEnclave {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
