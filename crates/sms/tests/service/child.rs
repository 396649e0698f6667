//! The program itself, started as a child that is killed when the test ends. No chain is within its reach unless a test
//! gives it one, so it serves requesters and accounts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// Files of one service: settings, database, key, backups.
pub(crate) struct Files {
    pub(crate) folder: TempDir,
}

impl Files {
    /// Writes settings with the given tables added.
    pub(crate) fn new(more_settings: &str) -> Self {
        Self::with_chain("http://127.0.0.1:1", more_settings)
    }

    pub(crate) fn with_chain(endpoint: &str, more_settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let settings = format!(
            "[chain]\nendpoints = [\"{endpoint}\"]\nid = 1337\nhub = \"0x{}\"\nretries = 0\n\
             [server]\naddress = \"127.0.0.1\"\nport = 0\n\
             [store]\npath = \"{path}/data/strongroom.db\"\nroot_key_file = \"{path}/data/root.key\"\n\
             [rate_limit]\nenabled = false\n{more_settings}",
            "11".repeat(20)
        );
        std::fs::write(folder.path().join("settings.toml"), settings).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        program(&[&["--config", self.path("settings.toml").to_str().unwrap()], arguments].concat())
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// Every byte of every file.
    pub(crate) fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    let bytes = std::fs::read(&path).unwrap();
                    found.push((path, bytes));
                }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        found
    }
}

/// The program without any settings, also not those of whoever runs the tests.
pub(crate) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom-sms"));
    command.args(arguments).env_clear().kill_on_drop(true);
    command
}

/// A program that listens.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    child: Child,
    /// What the child has written to its log, read as it comes.
    log: JoinHandle<String>,
}

impl Listening {
    pub(crate) async fn start(files: &Files) -> Self {
        Self::start_command(files.command(&["run"])).await
    }

    /// Waits for the line of the log that tells the address.
    pub(crate) async fn start_command(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        let address = loop {
            let start = log.len();
            assert_ne!(lines.read_line(&mut log).await.unwrap(), 0, "the program ended: {log}");
            if let Some(address) = listening_address(&log[start..]) {
                break address;
            }
        };
        let log = tokio::spawn(async move {
            // Both at once: a full pipe that nobody reads would stop the child.
            let mut rest = String::new();
            let mut printed = String::new();
            let (_, _) = tokio::join!(lines.read_to_string(&mut rest), stdout.read_to_string(&mut printed));
            log + &rest + &printed
        });
        Self { address, child, log }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// SIGKILL: no chance to finish anything.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; returns how it ended and all it wrote.
    pub(crate) async fn terminate(mut self) -> (ExitStatus, String) {
        let sent = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().await.unwrap();
        assert!(sent.success());
        (self.child.wait().await.unwrap(), self.log.await.unwrap())
    }
}

/// The address in a line of either form: `listening address=127.0.0.1:1` or `…"address":"127.0.0.1:1"…`.
fn listening_address(line: &str) -> Option<SocketAddr> {
    if !line.contains("listening") {
        return None;
    }
    let (_, after) = line.split_once("address")?;
    let from = after.find(|character: char| character.is_ascii_digit())?;
    let text = &after[from..];
    let end = text.find(|character: char| !matches!(character, '0'..='9' | '.' | ':')).unwrap_or(text.len());
    text[..end].parse().ok()
}
