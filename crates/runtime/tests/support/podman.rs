//! Podman for tests of containers, where it is installed: `apt-get install podman runc`. Tests of other crates use this file too.
//!
//! Without it the tests say so and do nothing, unless the variable `STRONGROOM_REQUIRE_CONTAINERS` is set.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "test support may unwrap, and says what is skipped")]

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A Podman service of its own, with its own images and configuration.
pub(crate) struct Podman {
    service: Child,
    folder: tempfile::TempDir,
}

impl Podman {
    /// Starts it, where Podman is installed.
    pub(crate) fn start() -> Option<Self> {
        let installed = |program: &str| {
            let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
            found.is_ok_and(|status| status.success())
        };
        if !rustix::process::geteuid().is_root() || !installed("podman") || !installed("runc") {
            #[expect(clippy::disallowed_methods, reason = "how CI says what must not be skipped")]
            let required = std::env::var_os("STRONGROOM_REQUIRE_CONTAINERS").is_some();
            assert!(!required, "podman and runc are required here, and root");
            eprintln!("SKIPPED: containers need podman, runc and root");
            return None;
        }
        // Paths of sockets are short.
        let folder = tempfile::Builder::new().prefix("sr").tempdir_in("/tmp").unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        let path = folder.path().display();
        write(
            "storage.conf",
            format!("[storage]\ndriver = \"vfs\"\ngraphroot = \"{path}/graph\"\nrunroot = \"{path}/run\"\n"),
        );
        write(
            "containers.conf",
            format!(
                "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"runc\"\ntmp_dir = \"{path}/tmp\"\n\
                 [containers]\n"
            ),
        );
        let service = Command::new("podman")
            .args(["system", "service", "--time=0"])
            .arg(format!("unix://{path}/podman.sock"))
            .env("CONTAINERS_STORAGE_CONF", folder.path().join("storage.conf"))
            .env("CONTAINERS_CONF", folder.path().join("containers.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let podman = Self { service, folder };
        while std::os::unix::net::UnixStream::connect(podman.socket()).is_err() {
            std::thread::yield_now();
        }
        Some(podman)
    }

    /// Where the service answers.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("podman.sock")
    }

    /// How many containers there are.
    pub(crate) fn containers(&self) -> usize {
        fs::read_to_string(self.folder.path().join("graph/vfs-containers/containers.json"))
            .map_or(0, |text| text.matches("\"id\"").count())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.service.kill();
        let _ = self.service.wait();
    }
}
