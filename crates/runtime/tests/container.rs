//! The container back end against Podman, where it is installed. Needs the feature `container`.

#![cfg(feature = "container")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod conformance;
#[path = "support/podman.rs"]
mod podman;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use podman::Podman;
use strongroom_runtime::{Container, ContainerSettings, Reason, Runtime};
use support::shell;

async fn runtime(podman: &Podman, devices: &[&str]) -> Runtime {
    let devices = devices.iter().map(PathBuf::from).collect();
    let settings = ContainerSettings { socket: podman.socket(), devices, runtime: None };
    Runtime::Container(Container::connect(settings).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_conforms() {
    let Some(podman) = Podman::start() else { return };
    let runtime = runtime(&podman, &[]).await;
    conformance::all(&runtime).await;
    the_memory_limit_is_kept(&runtime).await;
    devices_are_handed_in(&podman).await;
    the_first_process_keeps_five_capabilities(&runtime).await;
    the_guests_folder_stays_closed(&runtime).await;
    one_that_was_left_behind_makes_room(&podman, &runtime).await;
    assert_eq!(podman.containers(), 0, "every container is removed");
}

/// A pool that was killed leaves the container of its task, and the task is run again under the same name.
async fn one_that_was_left_behind_makes_room(podman: &Podman, runtime: &Runtime) {
    let launch = shell("exit 7");
    let ask = |arguments: &[&str]| {
        let url = format!("unix://{}", podman.socket().display());
        let answer = Command::new("podman").args(["--remote", "--url", &url]).args(arguments).output().unwrap();
        assert!(answer.status.success(), "{answer:?}");
        String::from_utf8(answer.stdout).unwrap()
    };
    let images = ask(&["images", "--quiet"]);
    let (image, name) = (images.lines().next().unwrap(), format!("strongroom-{}", launch.name));
    ask(&["create", "--name", &name, "--network", "none", image, "/bin/sh", "-c", "sleep 600"]);
    assert_eq!(podman.containers(), 1);
    assert_eq!(runtime.run(&launch).await.reason, Reason::Exited(7));
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
    assert_eq!(listed(runtime(podman, &[device]).await).await, Reason::Exited(0));
    assert_ne!(listed(runtime(podman, &[]).await).await, Reason::Exited(0));
    let Reason::Refused(refusal) = listed(runtime(podman, &["/dev/sgx_not_here"]).await).await else { panic!() };
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

/// Also to the user it belongs to: only a privilege leads in, and nobody can change that.
async fn the_guests_folder_stays_closed(runtime: &Runtime) {
    let script = "ls -ld /.strongroom | cut -c1-10; chmod 755 /.strongroom 2>/dev/null && echo opened; ls /.strongroom";
    let mut launch = shell(script);
    let file = tempfile::NamedTempFile::new().unwrap();
    launch.binds.push(support::bind(file.path(), "/.strongroom/file"));
    let exit = runtime.run(&launch).await;
    assert_eq!(exit.stdout.escaped(), "d---------\nfile\n", "{exit:?}");
}

#[tokio::test]
async fn an_engine_that_is_not_there_is_named() {
    let settings = ContainerSettings { socket: "/not/there.sock".into(), ..ContainerSettings::default() };
    let error = Container::connect(settings).await.unwrap_err();
    assert!(error.to_string().contains("/not/there.sock"), "{error}");
}
