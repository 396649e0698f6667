//! A network that is up, and people who follow guides on it, each with a home of their own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use strongroom_devnet::process::OwnedProcess;
use tempfile::TempDir;

use crate::page::{blocks, is_like};
use crate::support;

/// Longest time to come up.
const PATIENCE: Duration = Duration::from_mins(3);
/// Longest time for one guide.
const READING: Duration = Duration::from_mins(5);
/// Begins the output of each block, on both streams.
const MARK: char = '\u{1e}';
const NEXT: &str = "printf '\\036'; printf '\\036' >&2\n";

/// `strongroom-devnet up`, as `strongroom devnet up` starts it.
pub(crate) struct Network {
    _process: OwnedProcess,
    folder: TempDir,
    programs: PathBuf,
}

/// Builds what guides call, once, and tells where it is.
fn programs() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        support::static_guest();
        support::programs(&[
            "strongroom",
            "strongroom-sms",
            "strongroom-pool",
            "strongroom-simulator",
            "strongroom-devnet",
        ])
    })
}

impl Network {
    pub(crate) fn start() -> Self {
        let programs = programs().to_owned();
        let folder = short_folder();
        let mut up = Command::new(programs.join("strongroom-devnet"));
        up.args(["up", "--any-ports", "--data"]).arg(folder.path());
        let process = OwnedProcess::start("strongroom-devnet up", up).unwrap();
        process.wait_for_line(PATIENCE, |line| line.starts_with("Everything is up").then_some(())).unwrap();
        Self { _process: process, folder, programs }
    }
}

/// A port that nobody has now.
pub(crate) fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// Unix sockets are below it, and their paths are short.
fn short_folder() -> TempDir {
    tempfile::Builder::new().prefix("sr").tempdir_in("/tmp").unwrap()
}

/// Somebody who followed a guide.
pub(crate) struct Person {
    home: TempDir,
}

impl Person {
    /// Runs the commands of a guide in a new folder, with a new home and these variables. `replaced` are words that are different on
    /// this machine.
    pub(crate) fn follows(
        guide: &str,
        network: &Network,
        variables: &[(&str, &str)],
        replaced: &[(&str, &str)],
    ) -> Self {
        let person = Self { home: short_folder() };
        for folder in ["here", "config", "data"] {
            fs::create_dir(person.home.path().join(folder)).unwrap();
        }
        fs::write(person.home.path().join("password"), format!("the password of {guide}")).unwrap();
        person.reads(guide, network, variables, replaced);
        person
    }

    /// Runs the commands of a guide where this person is.
    pub(crate) fn reads(&self, guide: &str, network: &Network, variables: &[(&str, &str)], replaced: &[(&str, &str)]) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/guide/{guide}.md"));
        let page = fs::read_to_string(file).unwrap();
        let page = replaced.iter().fold(page, |page, (word, here)| {
            assert!(page.contains(word), "{guide} does not say {word}");
            page.replace(word, here)
        });
        let blocks = blocks(&page);
        assert!(!blocks.is_empty(), "{guide} has no commands");
        let script: String = blocks
            .iter()
            .map(|block| match block.exit_code {
                0 => format!("{NEXT}{}", block.commands),
                code => format!("{NEXT}set +e\n{}code=$?; set -e; test $code = {code}\n", block.commands),
            })
            .chain(["export -p > \"$HOME/variables\"\n".to_owned()])
            .collect();
        let ended = self.run(&script, network, variables);
        let (printed, errors) = (self.output("out"), self.output("err"));
        let outputs: Vec<&str> = printed.split(MARK).skip(1).collect();
        let last = outputs.len().max(1) - 1;
        let words = errors.split(MARK).next_back().unwrap_or_default();
        assert!(ended.success(), "{guide}: {ended}\n{}\nprinted\n{}\n{words}", blocks[last].commands, outputs[last]);
        for (block, output) in blocks.iter().zip(outputs) {
            let Some(expected) = &block.expected else { continue };
            assert!(is_like(output, expected), "{guide}\n{}\nprinted\n{output}\nand not\n{expected}", block.commands);
        }
    }

    /// One shell for the whole guide, as in a terminal, and the end of everything it started.
    fn run(&self, script: &str, network: &Network, variables: &[(&str, &str)]) -> ExitStatus {
        let home = self.home.path();
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin", network.programs.display());
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script]).current_dir(home.join("here")).env_clear();
        bash.env("PATH", path).env("HOME", home).env("XDG_CONFIG_HOME", home.join("config"));
        bash.env("XDG_DATA_HOME", home.join("data")).env("STRONGROOM_DEVNET", network.folder.path());
        bash.env("STRONGROOM_PASSWORD_FILE", home.join("password")).envs(variables.iter().copied());
        let file = |name: &str| fs::File::create(home.join(name)).unwrap();
        bash.stdin(Stdio::null()).stdout(file("out")).stderr(file("err")).process_group(0);
        let mut shell = Shell(bash.spawn().unwrap());
        let begun = Instant::now();
        loop {
            if let Some(status) = shell.0.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < READING, "{}\n{}", self.output("out"), self.output("err"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn output(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.home.path().join(name)).unwrap()).into_owned()
    }

    /// An exported variable at the end of the guide.
    pub(crate) fn variable(&self, name: &str) -> String {
        let all = self.output("variables");
        let start = format!("declare -x {name}=\"");
        let value = all.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix('"'));
        value.unwrap_or_else(|| panic!("{name} in {all}")).to_owned()
    }

    /// A file that the guide left.
    pub(crate) fn file(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join("here").join(name)).unwrap()
    }

    /// Whether a file below the home has these words.
    pub(crate) fn has_file_with(&self, words: &str) -> bool {
        let mut folders = vec![self.home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read(&path).unwrap().windows(words.len()).any(|window| window == words.as_bytes()) {
                    return true;
                }
            }
        }
        false
    }
}

/// A shell in a group of its own: its end is the end of all in it.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.0);
        // Nobody may be left in it.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.0.wait();
    }
}
