//! A home folder of its own for each test, and the command run in it. Whatever runs here is checked for leaks: neither
//! [`CANARY`], nor [`PASSWORD`], nor [`PRIVATE_KEY`] may appear in what it prints.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::stand_in_sms::StandInSms;

/// The secret in most tests.
pub(crate) const CANARY: &str = "canary-5e1b7c0d-never-shown";
/// The password of every wallet that tests make.
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// The key of [`ADDRESS`].
pub(crate) const PRIVATE_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
/// The wallet in most tests.
pub(crate) const ADDRESS: &str = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1";
/// Some app or dataset.
pub(crate) const ASSET: &str = "0xABcdEFABcdEFabcdEfAbCdefabcdeFABcDEFabCD";

pub(crate) struct Home {
    folder: TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Home {
    pub(crate) fn new() -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        home.write("password", &format!("{PASSWORD}\n"));
        home
    }

    /// With a wallet `me` of [`ADDRESS`] and the network `devnet`, whose SMS is `sms`, in use.
    pub(crate) fn ready_for(sms: &StandInSms) -> Self {
        let home = Self::new();
        let keystore = include_str!("../../../keystore/testdata/keystores/ethers-small.json");
        fs::create_dir_all(home.wallets()).unwrap();
        fs::write(home.wallets().join("me.json"), keystore).unwrap();
        home.run(&[
            "chain",
            "add",
            "devnet",
            "--replace",
            "--use",
            "--chain-id",
            "65535",
            "--rpc",
            "http://127.0.0.1:1",
            "--hub",
            "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707",
            "--sms",
            &sms.url(),
        ])
        .ends_with(0);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn wallets(&self) -> PathBuf {
        self.path("data/strongroom/wallets")
    }

    /// Writes a file into the home and returns its path as text.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command, with nothing of our environment.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        command.env("XDG_CONFIG_HOME", self.path("config")).env("XDG_DATA_HOME", self.path("data"));
        command.current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with("", arguments)
    }

    /// With `--password-file`, which all commands that sign take.
    pub(crate) fn sign(&self, value: &str, arguments: &[&str]) -> Ran {
        let password = self.path("password");
        self.run_with(value, &[arguments, &["--password-file", password.to_str().unwrap()]].concat())
    }

    pub(crate) fn run_with(&self, standard_input: &str, arguments: &[&str]) -> Ran {
        run_in(self.command(env!("CARGO_BIN_EXE_strongroom")).args(arguments), standard_input.as_bytes())
    }

    /// The text without what differs from run to run: the folder of this home, and ports.
    pub(crate) fn stable(&self, text: &str) -> String {
        let text = text.replace(self.path("").to_str().unwrap().trim_end_matches('/'), "~");
        let mut parts = text.split("127.0.0.1:");
        let mut stable = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            stable += "127.0.0.1:PORT";
            stable += part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        }
        stable
    }

    /// Every file below the home that contains `needle`.
    pub(crate) fn files_with(&self, needle: &[u8]) -> Vec<PathBuf> {
        let contains = |path: &PathBuf| fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle);
        self.files().into_iter().filter(contains).collect()
    }

    /// Every file below the home.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }
}

/// Runs a command that [`Home::command`] made.
pub(crate) fn run_in(command: &mut Command, standard_input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = standard_input.to_vec();
    // A command that does not read its input closes it; that is no failure of the test.
    let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let ran = Ran::from(output);
    ran.leaks_nothing();
    ran
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("the command ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The one object on standard output, with nothing beside it.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stderr, "", "with --json nothing else is said");
        one_object(&self.stdout)
    }

    /// The `error` of the one object on standard error, with nothing beside it.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        assert_eq!(self.stdout, "", "an error is no answer");
        one_object(&self.stderr)["error"].clone()
    }

    #[track_caller]
    pub(crate) fn leaks_nothing(&self) {
        use base64::Engine;
        for secret in [CANARY, PASSWORD, PRIVATE_KEY] {
            let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
            for form in [secret.to_owned(), hex::encode(secret), base64] {
                assert!(!self.stdout.contains(&form) && !self.stderr.contains(&form), "{self:?} leaks {form}");
            }
        }
    }
}

#[track_caller]
fn one_object(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "one line: {text}");
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(value.is_object(), "{text}");
    value
}

/// The permission bits of a file or folder.
#[cfg(unix)]
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
