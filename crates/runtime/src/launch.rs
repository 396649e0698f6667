//! The launch contract: one value goes in, one comes out, whatever the back end. Nothing in a [`Launch`] is secret: the guest
//! fetches secrets itself, and they end in it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_oci::UnpackedImage;

/// All that a back end needs to run one task.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Name of this run in control groups, containers and logs: 1 to 64 of `a-z`, `0-9`, `-`, starting with a letter or digit;
    /// unique on this machine.
    pub name: String,
    /// The image, verified and unpacked.
    pub image: UnpackedImage,
    /// Program and arguments of the first process, usually the guest. The program is an absolute path inside the sandbox.
    pub argv: Vec<String>,
    /// The whole environment of the first process. Public: anybody on the machine may see it.
    pub environment: Vec<(String, String)>,
    /// Files, folders and sockets of the host that are visible inside, read-only.
    pub binds: Vec<Bind>,
    /// Memory file systems that the sandbox may write to. Their content counts as memory and is gone afterwards.
    pub scratch: Vec<Scratch>,
    /// What the sandbox may use.
    pub limits: Limits,
}

/// A file, folder or socket of the host that is visible inside, read-only. Connecting to a socket is still possible.
///
/// The sandbox's users are not the supervisor's: files must be readable, programs executable and sockets writable (mode 0666) for all
/// users. Put them into a folder that only the supervisor can enter; folders above a source need not be open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path inside: below `/.strongroom`, where mount points are made as needed (only the first process may look in there,
    /// and what keeps its `CAP_DAC_OVERRIDE`; not uid 0 as such), or an existing file or folder of the image.
    pub target: PathBuf,
}

/// A memory file system of limited size. It belongs to uid 0 of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scratch {
    /// Absolute path inside, a folder of the image. Unpacked images always have `/tmp`, `/run`, `/iexec_in`, `/iexec_out`.
    pub target: PathBuf,
    /// Most bytes it may hold.
    pub size_bytes: u64,
    /// Permission bits of its top folder, for example `0o1777`.
    pub mode: u32,
}

/// What a sandbox may use. What a back end cannot enforce it says in its probes ([`crate::probe`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all processes together, scratch included.
    pub memory_bytes: u64,
    /// Processor time per wall time, in thousandths of one processor: 1500 is one and a half.
    pub cpu_milli: u32,
    /// Processes and threads.
    pub processes: u32,
    /// Open files per process.
    pub open_files: u32,
    /// Size of a single file that a process may write.
    pub file_bytes: u64,
    /// First bytes kept of each of standard output and standard error; the rest is counted and dropped.
    pub log_bytes: usize,
    /// Wall time after which everything inside is killed.
    pub deadline: Duration,
}

impl Default for Limits {
    /// 2 GiB, one processor, 512 processes, 4096 open files, files up to 4 GiB, 64 KiB of each log, five minutes.
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu_milli: 1000,
            processes: 512,
            open_files: 4096,
            file_bytes: 4 << 30,
            log_bytes: 64 << 10,
            deadline: Duration::from_mins(5),
        }
    }
}

/// How a run ended, and what it used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Why it ended.
    pub reason: Reason,
    /// Standard output of everything inside. Data from a stranger: escape it before showing it.
    pub stdout: Output,
    /// Standard error of everything inside. Data from a stranger: escape it before showing it.
    pub stderr: Output,
    /// Most memory used at one time, when the machine can tell.
    pub peak_memory_bytes: Option<u64>,
    /// Processor time used, when the machine can tell.
    pub cpu_time: Option<Duration>,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first process exited with this code.
    Exited(i32),
    /// The first process was killed by this signal.
    Signalled(i32),
    /// Something inside was killed because the memory limit was reached, and the first process did not exit with 0. Container
    /// engines do not always tell; then it is the signal 9.
    OutOfMemory,
    /// The deadline passed; everything was killed.
    Deadline,
    /// Nothing of the task ran.
    Refused(Refusal),
}

/// Why nothing was started, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the {step} step of the start failed: {cause}")]
pub struct Refusal {
    /// Which step of the start, in one or two words.
    pub step: String,
    /// What was wrong and what to do.
    pub cause: String,
}

/// The beginning of one output stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// At most [`Limits::log_bytes`] bytes.
    pub first: Vec<u8>,
    /// How many bytes were written altogether.
    pub total_bytes: u64,
}

impl Output {
    /// The kept bytes as text in which control characters are escaped (but for line ends and tabs), safe to show on a terminal.
    #[must_use]
    pub fn escaped(&self) -> String {
        let mut shown = String::new();
        for character in String::from_utf8_lossy(&self.first).chars() {
            if character.is_control() && !matches!(character, '\n' | '\t') {
                shown.extend(character.escape_default());
            } else {
                shown.push(character);
            }
        }
        shown
    }
}

impl Exit {
    /// An exit of a task of which nothing was started.
    pub(crate) fn refused(step: &str, cause: impl std::fmt::Display) -> Self {
        Self {
            reason: Reason::Refused(Refusal { step: step.to_owned(), cause: cause.to_string() }),
            stdout: Output::default(),
            stderr: Output::default(),
            peak_memory_bytes: None,
            cpu_time: None,
        }
    }
}

impl Launch {
    /// Refuses what no back end could run.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let refuse = |cause: String| Err(Refusal { step: "launch".to_owned(), cause });
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let name = self.name.as_bytes();
        if !(1..=64).contains(&name.len()) || !plain(name[0]) || !name.iter().all(|byte| plain(*byte) || *byte == b'-')
        {
            return refuse(format!("`{}` is no name of a run: 1 to 64 of a-z, 0-9 and -", self.name.escape_debug()));
        }
        if !self.argv.first().is_some_and(|program| program.starts_with('/')) {
            return refuse("argv must begin with the absolute path of a program".to_owned());
        }
        if let Some((name, _)) = self.environment.iter().find(|(name, _)| name.is_empty() || name.contains('=')) {
            return refuse(format!("`{}` is no name of an environment variable", name.escape_debug()));
        }
        let environment = self.environment.iter().flat_map(|(name, value)| [name, value]);
        if self.argv.iter().chain(environment).any(|text| text.contains('\0')) {
            return refuse("arguments and environment cannot hold zero bytes".to_owned());
        }
        let targets =
            self.binds.iter().map(|bind| &bind.target).chain(self.scratch.iter().map(|scratch| &scratch.target));
        for target in targets {
            let plain = target.components().skip(1).all(|part| matches!(part, std::path::Component::Normal(_)));
            if !target.is_absolute() || !plain || target.parent().is_none() {
                return refuse(format!("`{}` is no absolute path below `/` to mount at", target.display()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_output_cannot_drive_a_terminal() {
        let output = Output { first: b"a\x1b[2Jb\tc\n\r\xff".to_vec(), total_bytes: 10 };
        assert_eq!(output.escaped(), "a\\u{1b}[2Jb\tc\n\\r\u{fffd}");
    }
}
