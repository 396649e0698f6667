//! A program for the tests: the helpers of the sandbox, and a supervisor that can be killed.

use std::process::ExitCode;

use strongroom_oci::{Digest, ImageConfig, UnpackedImage};
use strongroom_runtime::{Bind, Launch, Limits, Native, NativeSettings, Reason, Runtime};

fn main() -> ExitCode {
    if let Some(code) = strongroom_runtime::native::child_main(std::env::args_os()) {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, root, guest, socket, act] = &*arguments else { return ExitCode::FAILURE };
    let bind = |source: &str, target: &str| Bind { source: source.into(), target: target.into() };
    let launch = Launch {
        name: name.clone(),
        image: UnpackedImage {
            root: root.into(),
            manifest_digest: None,
            config_digest: Digest::of(b""),
            config: ImageConfig::default(),
        },
        argv: ["/.strongroom/guest", act, "--exact", "--ignored", "--nocapture"].map(str::to_owned).to_vec(),
        environment: Vec::new(),
        binds: vec![bind(guest, "/.strongroom/guest"), bind(socket, "/.strongroom/test.sock")],
        scratch: Vec::new(),
        limits: Limits::default(),
    };
    let Ok(tokio) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let runtime = Runtime::Native(Native::new(NativeSettings::default()));
    match tokio.block_on(runtime.run(&launch)).reason {
        Reason::Exited(0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
