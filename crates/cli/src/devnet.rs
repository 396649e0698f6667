//! The network on this machine: the sibling program `strongroom-devnet` in the background, known by its folder. Only that very
//! process is ever stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use strongroom_protocol::Address;
use url::Url;

use crate::chains::ChainEntry;
use crate::private_file;
use crate::stock_project::{ProjectError, read};

/// The program.
const PROGRAM: &str = "strongroom-devnet";
/// Where it says where everything is.
const DESCRIPTION: &str = "network.json";
/// What it writes.
const LOG: &str = "devnet.log";
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest wait for its end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Most of the log that is read, from its end.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// Why the network does not start or stop.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DevnetError {
    /// It has no workerpool.
    #[error("the network in {} has no workerpool", folder.display())]
    NoPool {
        /// Its folder.
        folder: PathBuf,
    },
    /// The account got nothing.
    #[error("the account got nothing: {words}")]
    NoMoney {
        /// What the program said.
        words: String,
    },
    /// It is not up.
    #[error("no network is up in {}", folder.display())]
    Down {
        /// Its folder.
        folder: PathBuf,
    },
    /// The program is not there.
    #[error("there is no program {}", program.display())]
    NoProgram {
        /// Where it was looked for.
        program: PathBuf,
    },
    /// The program does not start.
    #[error("{} does not start", program.display())]
    NoStart {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program ended.
    #[error("the network did not come up; its last words:\n{words}")]
    Ended {
        /// The end of its log.
        words: String,
    },
    /// It takes long.
    #[error("the network is not up after {seconds} s; it goes on starting")]
    Slow {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The process of the description is another program.
    #[error("process {pid}, which {DESCRIPTION} names, is not {PROGRAM}; it is left alone")]
    OtherProcess {
        /// Its number.
        pid: u32,
    },
    /// The process does not end.
    #[error("process {pid} does not end")]
    NoEnd {
        /// Its number.
        pid: u32,
    },
    /// A file of the folder.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The description.
    #[error(transparent)]
    Description(#[from] ProjectError),
}

/// Where everything of a network is.
#[derive(Debug, Deserialize)]
pub(crate) struct Description {
    /// The process.
    pub(crate) pid: u32,
    chain_id: u64,
    hub: Address,
    rpc: Url,
    sms: Url,
    market: Option<Url>,
    ipfs_gateway: Option<Url>,
    ipfs_node: Option<Url>,
    result_proxy: Option<Url>,
    compass: Option<Url>,
    workerpool: Option<Address>,
    /// Folder of app images that its pool runs.
    pub(crate) images: Option<PathBuf>,
    /// The first program of its enclaves.
    pub(crate) guest: Option<PathBuf>,
    /// The program that vouches for them.
    pub(crate) simulator: Option<PathBuf>,
}

impl Description {
    /// The network as one to use.
    pub(crate) fn entry(&self) -> ChainEntry {
        ChainEntry {
            market: self.market.clone(),
            ipfs_gateway: self.ipfs_gateway.clone(),
            ipfs_node: self.ipfs_node.clone(),
            result_proxy: self.result_proxy.clone(),
            compass: self.compass.clone(),
            workerpool: self.workerpool,
            ..ChainEntry::new(self.chain_id, self.hub, vec![self.rpc.clone()], self.sms.clone())
        }
    }
}

/// A network by its folder.
pub(crate) struct Folder(pub(crate) PathBuf);

/// How to start a network.
pub(crate) struct Start<'a> {
    /// The program.
    pub(crate) program: &'a Path,
    /// Any free ports.
    pub(crate) any_ports: bool,
    /// Longest wait.
    pub(crate) patience: Duration,
}

impl Folder {
    /// The running network; `None` when it is down, also after a crash.
    pub(crate) fn running(&self) -> Result<Option<Description>, DevnetError> {
        let found: Option<Description> = read(&self.0.join(DESCRIPTION))?;
        Ok(found.filter(|network| is_program(network.pid)))
    }

    /// The running network, or what it is not.
    pub(crate) fn must_run(&self) -> Result<Description, DevnetError> {
        self.running()?.ok_or_else(|| DevnetError::Down { folder: self.0.clone() })
    }

    /// Gives an account money, with the program.
    pub(crate) fn fund(&self, program: &Path, account: Address) -> Result<(), DevnetError> {
        let network = self.must_run()?;
        if !program.is_file() {
            return Err(DevnetError::NoProgram { program: program.to_owned() });
        }
        let mut command = Command::new(program);
        command.arg("fund").arg("--rpc").arg(network.rpc.as_str()).arg("--hub").arg(network.hub.to_string());
        command.arg(account.to_string()).stdin(Stdio::null());
        let failed = |source| DevnetError::NoStart { program: program.to_owned(), source };
        let output = command.output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        Err(DevnetError::NoMoney { words: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
    }

    /// Starts the network, unless it is up, and waits until it is.
    pub(crate) fn start(&self, start: &Start<'_>) -> Result<Description, DevnetError> {
        if let Some(network) = self.running()? {
            return Ok(network);
        }
        if !start.program.is_file() {
            return Err(DevnetError::NoProgram { program: start.program.to_owned() });
        }
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| DevnetError::File { path, source }
        };
        private_file::make_folder(&self.0).map_err(file(&self.0))?;
        let description = self.0.join(DESCRIPTION);
        match fs::remove_file(&description) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(&description)(error)),
            _ => {}
        }
        let log = self.0.join(LOG);
        let output = OpenOptions::new().create(true).write(true).truncate(true).open(&log).map_err(file(&log))?;
        let errors = output.try_clone().map_err(file(&log))?;
        let mut command = Command::new(start.program);
        command.arg("up").arg("--data").arg(&self.0).stdin(Stdio::null()).stdout(output).stderr(errors);
        if start.any_ports {
            command.arg("--any-ports");
        }
        // Ctrl-C in this terminal is not meant for it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let failed = |source| DevnetError::NoStart { program: start.program.to_owned(), source };
        let mut child = command.spawn().map_err(failed)?;
        let begun = Instant::now();
        loop {
            if let Some(network) = read::<Description>(&description)? {
                return Ok(network);
            }
            if child.try_wait().map_err(failed)?.is_some() {
                return Err(DevnetError::Ended { words: self.log(10)? });
            }
            if begun.elapsed() > start.patience {
                return Err(DevnetError::Slow { seconds: start.patience.as_secs() });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Stops the network and waits for its end.
    pub(crate) fn stop(&self) -> Result<u32, DevnetError> {
        let path = self.0.join(DESCRIPTION);
        let down = || DevnetError::Down { folder: self.0.clone() };
        let network: Description = read(&path)?.ok_or_else(down)?;
        let pid = network.pid;
        if !exists(pid) {
            return Err(down());
        }
        if !is_program(pid) {
            return Err(DevnetError::OtherProcess { pid });
        }
        terminate(pid);
        let begun = Instant::now();
        while is_program(pid) {
            if begun.elapsed() > STOP_PATIENCE {
                return Err(DevnetError::NoEnd { pid });
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(pid)
    }

    /// The last lines that it wrote.
    pub(crate) fn log(&self, lines: usize) -> Result<String, DevnetError> {
        let path = self.0.join(LOG);
        let read = || {
            let mut file = File::open(&path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(MAX_LOG_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(MAX_LOG_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(error) if io::Error::kind(&error) == io::ErrorKind::NotFound => {
                return Err(DevnetError::Down { folder: self.0.clone() });
            }
            Err(source) => return Err(DevnetError::File { path, source }),
        };
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    }
}

/// The process number as the system takes it: 0 and numbers beyond its range would mean groups of processes.
fn process(pid: u32) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(pid).ok()?)
}

fn exists(pid: u32) -> bool {
    process(pid).is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok())
}

fn terminate(pid: u32) {
    if let Some(pid) = process(pid) {
        // It may have ended by itself; the caller looks.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

/// Whether the process is the program: by the file it runs, or, where the system does not tell, by the name that `ps` gives.
fn is_program(pid: u32) -> bool {
    if !exists(pid) {
        return false;
    }
    if cfg!(target_os = "linux") {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let is_zombie = state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        let file = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // The system says so when the file was replaced since.
        return !is_zombie && name.trim_end_matches(" (deleted)") == PROGRAM;
    }
    let output = Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| {
        let name = String::from_utf8_lossy(&output.stdout);
        Path::new(name.trim()).file_name().is_some_and(|name| name == PROGRAM)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_another_program_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let network = Folder(folder.path().to_owned());
        assert!(matches!(network.stop(), Err(DevnetError::Down { .. })));
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let describe = |pid: u32| {
            let text = format!(
                r#"{{ "pid": {pid}, "chain_id": 7, "hub": "0x5fc8d32690cc91d4c39d9d3abcbd16989f875707",
                "rpc": "http://127.0.0.1:1", "sms": "http://127.0.0.1:2" }}"#
            );
            fs::write(folder.path().join(DESCRIPTION), text).unwrap();
        };
        describe(other.id());
        assert!(network.running().unwrap().is_none());
        assert!(matches!(network.stop(), Err(DevnetError::OtherProcess { .. })));
        assert!(other.try_wait().unwrap().is_none(), "it still runs");
        other.kill().unwrap();
        other.wait().unwrap();
        for nobody in [0, u32::MAX] {
            describe(nobody);
            assert!(matches!(network.stop(), Err(DevnetError::Down { .. })));
        }
    }

    #[test]
    fn only_the_end_of_the_log_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let network = Folder(folder.path().to_owned());
        assert!(matches!(network.log(2), Err(DevnetError::Down { .. })));
        fs::write(folder.path().join(LOG), "a\nb\nc\n").unwrap();
        assert_eq!(network.log(2).unwrap(), "b\nc");
        assert_eq!(network.log(9).unwrap(), "a\nb\nc");
    }
}
