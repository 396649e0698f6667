//! Confidential virtual machines through a configured launcher: a program of the operator that starts the platform's guest image
//! (dstack, a cloud) with our guest as its first process. We say what to run and believe its exit; that the right code runs in a
//! real enclave is proven by evidence to the service, not by the launcher.
//!
//! The launcher gets the path of a JSON file in place of `{launch}` in its arguments (`docs/reference/tdx-launcher.md` has all
//! members) and `{name}` for the name of the run. It prints JSON lines: `{"progress":"…"}` for people, and for the end exactly one of
//! `{"exited":CODE}`, `"deadline"`, `"out_of_memory"` or `{"refused":"why and what to do"}`. `{"stdout":"…"}` and
//! `{"stderr":"…"}` carry output of the guest. When its standard input ends, the run is given up: it must stop the machine.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha384};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::output::Drain;
use crate::{Exit, Launch, Output, Reason, Refusal};

/// Where the guest is bound in every launch that has one.
const GUEST: &str = "/.strongroom/guest";
/// A line that is longer is cut.
const LINE_BYTES: u64 = 1 << 20;

/// Settings of the launcher.
#[derive(Clone, Debug)]
pub struct TdxSettings {
    /// Program and arguments; `{launch}` and `{name}` are filled in.
    pub command: Vec<String>,
    /// Where launch files are written. They are public.
    pub folder: PathBuf,
    /// How long the launcher may take to stop its machine after the end of the run or its deadline.
    pub grace: Duration,
}

/// The back end of confidential virtual machines.
#[derive(Clone, Debug)]
pub struct Tdx {
    settings: TdxSettings,
}

/// What the launcher is told.
#[derive(Debug, Serialize)]
struct LaunchFile<'a> {
    version: u32,
    name: &'a str,
    /// What the app's owner put on chain.
    image_digest: Option<String>,
    config_digest: String,
    image_root: &'a std::path::Path,
    /// SHA-384 of the guest, when one is bound in.
    guest_digest: Option<String>,
    argv: &'a [String],
    environment: &'a [(String, String)],
    binds: &'a [crate::Bind],
    scratch: &'a [crate::Scratch],
    memory_bytes: u64,
    cpu_milli: u32,
    processes: u32,
    open_files: u32,
    file_bytes: u64,
    log_bytes: usize,
    deadline_seconds: u64,
}

/// What the launcher says, a line each.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress(String),
    Stdout(String),
    Stderr(String),
    Exited(i32),
    Deadline,
    OutOfMemory,
    Refused(String),
}

impl Tdx {
    /// A back end that uses this launcher.
    #[must_use]
    pub fn new(settings: TdxSettings) -> Self {
        Self { settings }
    }

    pub(crate) fn program(&self) -> Option<&str> {
        self.settings.command.first().map(String::as_str)
    }

    /// Runs one task. When the future is dropped, the launcher is told to give up, and gets its time to do so.
    pub(crate) async fn run(&self, launch: &Launch) -> Exit {
        let (alive, cancelled) = oneshot::channel::<()>();
        let (own, launch) = (self.clone(), launch.clone());
        let supervised = tokio::spawn(async move {
            match own.start(&launch).await {
                // The file stays until the end of the run.
                Ok((_file, launcher)) => own.watch(&launch, launcher, cancelled).await,
                Err(refusal) => Exit::refused(&refusal.step, refusal.cause),
            }
        });
        let exit = supervised.await;
        drop(alive);
        exit.unwrap_or_else(|error| Exit::refused("launcher", error))
    }

    async fn start(&self, launch: &Launch) -> Result<(LaunchFileOnDisk, Child), Refusal> {
        let refuse = |step: &str, cause: String| Refusal { step: step.to_owned(), cause };
        let guest_digest = match launch.binds.iter().find(|bind| bind.target == std::path::Path::new(GUEST)) {
            Some(bind) => {
                let bytes = tokio::fs::read(&bind.source).await;
                let bytes = bytes.map_err(|error| refuse("guest", format!("`{}`: {error}", bind.source.display())))?;
                Some(hex::encode(Sha384::digest(bytes)))
            }
            None => None,
        };
        let text = serde_json::to_vec_pretty(&launch_file(launch, guest_digest));
        let text = text.map_err(|error| refuse("launch file", error.to_string()))?;
        let path = self.settings.folder.join(format!("{}.launch.json", launch.name));
        let written = tokio::fs::write(&path, text).await;
        let file = LaunchFileOnDisk(path);
        written.map_err(|error| refuse("launch file", format!("`{}`: {error}", file.0.display())))?;
        let path = file.0.to_string_lossy();
        let filled = |word: &String| word.replace("{launch}", &path).replace("{name}", &launch.name);
        let mut words = self.settings.command.iter().map(filled);
        let Some(program) = words.next() else {
            return Err(refuse("launcher", "no launcher is configured; set its command".to_owned()));
        };
        let launcher = Command::new(&program)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let launcher =
            launcher.map_err(|error| refuse("launcher", format!("`{program}` cannot be started: {error}")))?;
        Ok((file, launcher))
    }

    /// Reads what the launcher says until it ends. A launcher that does not stop in time is killed.
    async fn watch(&self, launch: &Launch, mut launcher: Child, cancelled: oneshot::Receiver<()>) -> Exit {
        let keep = launch.limits.log_bytes;
        let own_errors = launcher.stderr.take().map(|stream| Drain::start(stream, 4096));
        let mut heard = Heard { keep, ..Heard::default() };
        let stdout = launcher.stdout.take();
        let listening = async {
            if let Some(stdout) = stdout {
                heard.listen(launch, stdout).await;
            }
        };
        // The launcher keeps the deadline itself; this is for one that hangs.
        let in_time = tokio::select! {
            ended = timeout(launch.limits.deadline + self.settings.grace, listening) => ended.is_ok(),
            _ = cancelled => false,
        };
        drop(launcher.stdin.take());
        let status = timeout(self.settings.grace, launcher.wait()).await;
        if status.is_err()
            && let Err(error) = launcher.kill().await
        {
            tracing::error!(run = launch.name, %error, "a launcher of confidential machines could not be killed");
        }
        let errors = match own_errors {
            Some(drain) => drain.finish(self.settings.grace).await.escaped(),
            None => String::new(),
        };
        let reason = match heard.end {
            Some(reason) => reason,
            None if !in_time => Reason::Deadline,
            None => Reason::Refused(Refusal {
                step: "launcher".to_owned(),
                cause: format!("it ended without saying how the run ended; it said: {errors}"),
            }),
        };
        Exit { reason, stdout: heard.stdout, stderr: heard.stderr, peak_memory_bytes: None, cpu_time: None }
    }
}

/// What was heard from the launcher.
#[derive(Default)]
struct Heard {
    keep: usize,
    stdout: Output,
    stderr: Output,
    end: Option<Reason>,
}

impl Heard {
    async fn listen(&mut self, launch: &Launch, stream: impl tokio::io::AsyncRead + Unpin) {
        let mut lines = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            match (&mut lines).take(LINE_BYTES).read_until(b'\n', &mut line).await {
                Ok(1..) => {}
                _ => return,
            }
            match serde_json::from_slice(&line) {
                Ok(line) => self.hear(launch, line),
                Err(error) => {
                    tracing::warn!(run = launch.name, %error, "a launcher said something that is no JSON line of ours");
                }
            }
        }
    }

    fn hear(&mut self, launch: &Launch, line: Line) {
        let end = match line {
            Line::Progress(text) => {
                tracing::info!(run = launch.name, progress = %text.escape_debug(), "the launcher goes on");
                return;
            }
            Line::Stdout(text) => return self.stdout.add(text.as_bytes(), self.keep),
            Line::Stderr(text) => return self.stderr.add(text.as_bytes(), self.keep),
            Line::Exited(code) => Reason::Exited(code),
            Line::Deadline => Reason::Deadline,
            Line::OutOfMemory => Reason::OutOfMemory,
            Line::Refused(cause) => Reason::Refused(Refusal { step: "launcher".to_owned(), cause }),
        };
        // The first word about the end counts.
        self.end.get_or_insert(end);
    }
}

/// Removed when the run is over.
struct LaunchFileOnDisk(PathBuf);

impl Drop for LaunchFileOnDisk {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(file = %self.0.display(), %error, "a launch file could not be removed");
        }
    }
}

fn launch_file(launch: &Launch, guest_digest: Option<String>) -> LaunchFile<'_> {
    let limits = &launch.limits;
    LaunchFile {
        version: 1,
        name: &launch.name,
        image_digest: launch.image.manifest_digest.map(|digest| digest.to_string()),
        config_digest: launch.image.config_digest.to_string(),
        image_root: &launch.image.root,
        guest_digest,
        argv: &launch.argv,
        environment: &launch.environment,
        binds: &launch.binds,
        scratch: &launch.scratch,
        memory_bytes: limits.memory_bytes,
        cpu_milli: limits.cpu_milli,
        processes: limits.processes,
        open_files: limits.open_files,
        file_bytes: limits.file_bytes,
        log_bytes: limits.log_bytes,
        deadline_seconds: limits.deadline.as_secs(),
    }
}
