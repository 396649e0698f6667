//! An image with this machine's shell, and launches of it.

#![allow(dead_code, clippy::unwrap_used, reason = "test support; each test file uses its part")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use strongroom_oci::{Bounds, ImageBuilder, ImageStore, Source, UnpackedImage, Wanted};
use strongroom_runtime::{Bind, Launch, Limits, Native, NativeSettings, Scratch};

pub(crate) const HELPER: &str = env!("CARGO_BIN_EXE_strongroom-runtime-acts");
pub(crate) const GUEST: &str = "/.strongroom/guest";

/// A shell with the usual tools and the libraries of the tests' own programs, unpacked once per test program.
pub(crate) fn image() -> UnpackedImage {
    static IMAGE: OnceLock<UnpackedImage> = OnceLock::new();
    IMAGE
        .get_or_init(|| {
            let own = std::env::current_exe().unwrap();
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("images").join(own.file_name().unwrap());
            let mut builder = ImageBuilder::default();
            builder.host_shell().unwrap().host_libraries(&own).unwrap();
            let digest = builder.write_layout(&folder.join("layout"), "shell:1").unwrap();
            let store = ImageStore::open(folder.join("store"), Bounds::default()).unwrap();
            store.unpack(&Source::Layout(folder.join("layout")), Wanted::Manifest(digest)).unwrap()
        })
        .clone()
}

pub(crate) fn native() -> Native {
    static NATIVE: OnceLock<Native> = OnceLock::new();
    let make = || {
        // Another block of ids for every test process: the kernel counts processes per user.
        let first_id = 0x1000_0000 + (std::process::id() % 0x2000) * 0x1_0000;
        Native::new(NativeSettings { helper: HELPER.into(), first_id, ..NativeSettings::default() })
    };
    NATIVE.get_or_init(make).clone()
}

/// A name that no other run has.
pub(crate) fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A launch of a program in the image, with small limits.
pub(crate) fn launch<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Launch {
    Launch {
        name: name(),
        image: image(),
        argv: argv.into_iter().map(Into::into).collect(),
        environment: vec![("PATH".to_owned(), "/bin".to_owned())],
        binds: Vec::new(),
        scratch: vec![Scratch { target: "/iexec_out".into(), size_bytes: 4 << 20, mode: 0o755 }],
        limits: Limits { memory_bytes: 256 << 20, processes: 64, ..Limits::default() },
    }
}

pub(crate) fn shell(script: &str) -> Launch {
    launch(["/bin/sh", "-c", script])
}

pub(crate) fn bind(source: impl Into<PathBuf>, target: &str) -> Bind {
    Bind { source: source.into(), target: target.into() }
}
