//! The container back end against Podman, where it is installed: `apt-get install podman runc`. Needs the feature `container`.
//!
//! Without them the tests say so and do nothing, unless the variable `STRONGROOM_REQUIRE_CONTAINERS` is set.

#![cfg(feature = "container")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on stops, and says what it skips")]

mod conformance;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use strongroom_runtime::{Container, ContainerSettings, Reason, Runtime};
use support::shell;

/// A Podman service of its own, with its own images and configuration.
struct Podman {
    service: Child,
    folder: tempfile::TempDir,
}

impl Podman {
    fn start() -> Option<Self> {
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

    fn socket(&self) -> PathBuf {
        self.folder.path().join("podman.sock")
    }

    async fn runtime(&self, devices: &[&str]) -> Runtime {
        let devices = devices.iter().map(PathBuf::from).collect();
        let settings = ContainerSettings { socket: self.socket(), devices, runtime: None };
        Runtime::Container(Container::connect(settings).await.unwrap())
    }

    fn containers(&self) -> usize {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_container_conforms() {
    let Some(podman) = Podman::start() else { return };
    let runtime = podman.runtime(&[]).await;
    conformance::all(&runtime).await;
    the_memory_limit_is_kept(&runtime).await;
    devices_are_handed_in(&podman).await;
    the_first_process_keeps_five_capabilities(&runtime).await;
    assert_eq!(podman.containers(), 0, "every container is removed");
}

/// Not every engine tells that it was the memory: Podman on control groups of version 1 only says that it was SIGKILL.
async fn the_memory_limit_is_kept(runtime: &Runtime) {
    let reason = runtime.run(&conformance::allocates_too_much()).await.reason;
    assert!(matches!(reason, Reason::OutOfMemory | Reason::Signalled(9)), "{reason:?}");
}

/// With devices that every machine has in place of those of SGX.
async fn devices_are_handed_in(podman: &Podman) {
    let device = "/dev/kmsg";
    assert!(Path::new(device).exists());
    let listed = |runtime: Runtime| async move { runtime.run(&shell("ls /dev/kmsg")).await.reason };
    assert_eq!(listed(podman.runtime(&[device]).await).await, Reason::Exited(0));
    assert_ne!(listed(podman.runtime(&[]).await).await, Reason::Exited(0));
    let Reason::Refused(refusal) = listed(podman.runtime(&["/dev/sgx_not_here"]).await).await else { panic!() };
    assert!(refusal.cause.contains("/dev/sgx_not_here"), "{refusal}");
}

async fn the_first_process_keeps_five_capabilities(runtime: &Runtime) {
    let exit = runtime.run(&shell("grep -E 'CapPrm|CapBnd|NoNewPrivs' /proc/self/status")).await;
    assert_eq!(
        exit.stdout.escaped(),
        "CapPrm:\t00000000000000e3\nCapBnd:\t00000000000000e3\nNoNewPrivs:\t1\n",
        "{exit:?}"
    );
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let settings = ContainerSettings { socket: "/not/there.sock".into(), ..ContainerSettings::default() };
    let error = Container::connect(settings).await.unwrap_err();
    assert!(error.to_string().contains("/not/there.sock"), "{error}");
}
