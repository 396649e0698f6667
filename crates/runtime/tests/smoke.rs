use strongroom_oci::*;
use strongroom_runtime::*;
#[tokio::test]
async fn smoke() {
    let root = std::path::PathBuf::from("/tmp/look/root");
    let native = Native::new(NativeSettings {
        helper: env!("CARGO_BIN_EXE_strongroom-runtime-acts").into(),
        ..Default::default()
    });
    let launch = Launch {
        name: format!("smoke-{}", std::process::id()),
        image: UnpackedImage {
            root,
            manifest_digest: None,
            config_digest: Digest::of(b""),
            config: Default::default(),
        },
        argv: vec!["/.strongroom/guest".into()],
        environment: vec![("A".into(), "b".into())],
        binds: vec![Bind {
            source: env!("CARGO_BIN_EXE_strongroom-runtime-acts").into(),
            target: "/.strongroom/guest".into(),
        }],
        scratch: vec![Scratch { target: "/iexec_in".into(), size_bytes: 1 << 20, mode: 0o755 }],
        limits: Limits::default(),
    };
    let t = std::time::Instant::now();
    let exit = Runtime::Native(native).run(&launch).await;
    println!("{:?} {:?} {:?} {:?}", t.elapsed(), exit.reason, exit.peak_memory_bytes, exit.cpu_time);
    println!("{}\n{}", exit.stdout.escaped(), exit.stderr.escaped());
}
