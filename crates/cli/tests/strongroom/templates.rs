//! The apps that `strongroom app init` writes, run with what a task hands them: folders, values and arguments.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::home::{CANARY, Home};

/// A new app of a template.
struct Written {
    home: Home,
    folder: PathBuf,
}

impl Written {
    fn new(template: &str) -> Self {
        let home = Home::new();
        home.run(&["app", "init", "hello", "--template", template]).ends_with(0);
        let folder = home.path("hello");
        Self { home, folder }
    }

    /// Runs the app for two tasks: one with everything that there can be, one with nothing of it.
    fn serves_tasks(&self, program: impl AsRef<OsStr>, first: &[&OsStr]) {
        let program = program.as_ref();
        let both = ["IEXEC_APP_DEVELOPER_SECRET", "IEXEC_REQUESTER_SECRET_1"];
        let given = "Hello, you there!\ndeveloper's secret: given\nrequester's secret 1: given\ndataset: 5 bytes\n";
        assert_eq!(self.result(program, first, &["you", "there"], "0xda7a", &both), given);
        // Without a dataset the name is the zero address, as it always was on the network.
        let none = "0x0000000000000000000000000000000000000000";
        let nothing = "Hello, world!\ndeveloper's secret: not given\nrequester's secret 1: not given\n";
        assert_eq!(self.result(program, first, &[], none, &[]), nothing);
    }

    fn result(&self, program: &OsStr, first: &[&OsStr], words: &[&str], filename: &str, secrets: &[&str]) -> String {
        let (folder_in, folder_out) = (self.home.path("in"), self.home.path("out"));
        let _ = fs::remove_dir_all(&folder_out);
        for folder in [&folder_in, &folder_out] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(folder_in.join("0xda7a"), "12345").unwrap();
        let mut app = Command::new(program);
        for name in ["IEXEC_APP_DEVELOPER_SECRET", "IEXEC_REQUESTER_SECRET_1"] {
            app.env_remove(name);
        }
        app.envs(secrets.iter().map(|name| (name, CANARY))).env("IEXEC_DATASET_FILENAME", filename);
        app.env("IEXEC_IN", &folder_in).env("IEXEC_OUT", &folder_out);
        let ran = app.args(first).args(words).current_dir("/").output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let told = [ran.stdout, ran.stderr].concat();
        assert!(!String::from_utf8_lossy(&told).contains(CANARY), "a secret was printed");

        let result = folder_out.join("result.txt");
        let computed: serde_json::Value =
            serde_json::from_slice(&fs::read(folder_out.join("computed.json")).unwrap()).unwrap();
        assert_eq!(computed, serde_json::json!({ "deterministic-output-path": result }));
        fs::read_to_string(result).unwrap()
    }
}

#[test]
fn the_shell_app_serves_tasks() {
    let written = Written::new("shell");
    written.serves_tasks("/bin/sh", &[written.folder.join("app.sh").as_os_str()]);
}

#[test]
fn the_node_app_serves_tasks() {
    let written = Written::new("node");
    written.serves_tasks("node", &[written.folder.join("app.mjs").as_os_str()]);
}

#[test]
#[allow(clippy::print_stderr, reason = "says what is skipped")]
fn the_python_app_serves_tasks() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|asked| asked.status.success()) {
        // Nothing else here needs Python, so a machine may do without.
        eprintln!("SKIPPED: there is no python3 on this machine, so the Python app was not run");
        return;
    }
    let written = Written::new("python");
    written.serves_tasks("python3", &[written.folder.join("app.py").as_os_str()]);
}

#[test]
fn the_rust_app_serves_tasks() {
    let written = Written::new("rust");
    let manifest = fs::read_to_string(written.folder.join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let package = &manifest["package"];
    assert!(manifest.keys().eq(["package"]), "the compiler alone can build it: {manifest}");
    let built = written.home.path("app");
    let mut compiler = Command::new("rustc");
    compiler.args([
        "--edition",
        package["edition"].as_str().unwrap(),
        "--crate-name",
        package["name"].as_str().unwrap(),
    ]);
    compiler.arg("-o").arg(&built).arg(written.folder.join("src/main.rs")).current_dir(written.home.path(""));
    let compiled = compiler.output().unwrap();
    assert!(compiled.status.success(), "{compiled:?}");
    assert!(compiled.stderr.is_empty(), "warnings: {}", String::from_utf8_lossy(&compiled.stderr));
    written.serves_tasks(&built, &[]);
}
