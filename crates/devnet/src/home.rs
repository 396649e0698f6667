//! The `strongroom` command as people run it: with a home folder, a wallet password and settings of their own, and nothing of
//! the surroundings of this process.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, hex};
use serde_json::Value;

use crate::Devnet;
use crate::whole::WholeNetwork;

/// Exit code of `strongroom` for: done, and for check commands: it is there.
pub const DONE: i32 = 0;
/// Exit code of `strongroom` for: it went wrong, and for watched tasks: not all were done.
pub const TROUBLE: i32 = 1;
/// Exit code of `strongroom` for: the wallet is not allowed to do this.
pub const REFUSED: i32 = 3;
/// Exit code of `strongroom` for: not found, and for check commands: it is not there.
pub const NOT_FOUND: i32 = 4;
/// Exit code of `strongroom` for: already there, and not replaced.
pub const ALREADY_EXISTS: i32 = 5;

/// The name under which the commands of a [`Home`] know the local network.
const NETWORK: &str = "devnet";

/// Why the command could not be run.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file or a process.
    #[error("{doing} failed")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The command printed no JSON object.
    #[error("`strongroom {command}` gave no answer; it printed:\n{printed}")]
    NoAnswer {
        /// The command.
        command: String,
        /// What it printed.
        printed: String,
    },
    /// The command ended in another way than was expected of it.
    #[error("`strongroom {command}` ended with exit code {code}, not {expected}: {said}")]
    Unexpected {
        /// The command.
        command: String,
        /// How it ended.
        code: i32,
        /// How it should have ended.
        expected: i32,
        /// Its answer.
        said: String,
    },
}

/// How a command ended, and its JSON answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The exit code.
    pub code: i32,
    /// The object on standard output, or the one on standard error after a failure.
    pub json: Value,
}

impl Answer {
    /// What went wrong, in the words of the command; empty when nothing did.
    pub fn message(&self) -> &str {
        self.json["error"]["message"].as_str().unwrap_or_default()
    }
}

/// A home folder in which the command runs.
#[derive(Debug)]
pub struct Home {
    program: PathBuf,
    folder: PathBuf,
}

impl Home {
    /// Prepares `folder`, which must exist, as a home. The password of its wallets is random.
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Result<Self, HomeError> {
        let home = Self { program: program.into(), folder: folder.into() };
        let mut password = [0; 16];
        getrandom::fill(&mut password)
            .map_err(io::Error::other)
            .and_then(|()| std::fs::write(home.password_file(), hex::encode(password)))
            .map_err(|source| HomeError::Io { doing: "writing the password of the wallets", source })?;
        Ok(home)
    }

    /// Makes `network`, with the SMS at `sms_url`, the one in use.
    pub fn use_network(&self, network: &Devnet, sms_url: &str) -> Result<(), HomeError> {
        self.use_network_with(network, sms_url, &[])
    }

    /// Makes `network`, with everything that stands beside its chain, the one in use.
    pub fn use_whole_network(&self, network: &Devnet, whole: &WholeNetwork) -> Result<(), HomeError> {
        let (market, storage, compass) = (whole.market.url(), whole.store.url(), whole.compass.url());
        let (results, workerpool) = (whole.proxy.url(), whole.workerpool.to_string());
        let services = [
            ("--market", &market),
            ("--ipfs-gateway", &storage),
            ("--ipfs-node", &storage),
            ("--result-proxy", &results),
            ("--compass", &compass),
            ("--workerpool", &workerpool),
        ];
        let options = services.map(|(option, value)| [option, value.as_str()]).concat();
        self.use_network_with(network, whole.sms.url(), &options)
    }

    fn use_network_with(&self, network: &Devnet, sms_url: &str, options: &[&str]) -> Result<(), HomeError> {
        let deployment = network.deployment();
        let (chain_id, hub) = (deployment.chain_id.to_string(), deployment.hub.to_string());
        let description = ["--chain-id", &chain_id, "--hub", &hub, "--rpc", network.rpc_url(), "--sms", sms_url];
        let command = [&["chain", "add", NETWORK, "--replace", "--use"], &description[..], options].concat();
        self.run_to(DONE, &command, b"").map(drop)
    }

    /// Makes a wallet and tells its address.
    pub fn create_wallet(&self, name: &str) -> Result<Address, HomeError> {
        self.wallet(&["wallet", "create", name], b"")
    }

    /// Takes over a key as a wallet and tells its address.
    pub fn import_wallet(&self, name: &str, key: &PrivateKeySigner) -> Result<Address, HomeError> {
        self.wallet(&["wallet", "import", name, "--from-file", "-"], hex::encode(key.to_bytes()).as_bytes())
    }

    fn wallet(&self, command: &[&str], input: &[u8]) -> Result<Address, HomeError> {
        let answer = self.run_to(DONE, command, input)?;
        serde_json::from_value(answer["wallet"]["address"].clone())
            .map_err(|_| HomeError::NoAnswer { command: command.join(" "), printed: answer.to_string() })
    }

    /// Runs a command with `input` as its standard input, such as `app check-secret 0x...`. Blocks the thread.
    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Result<Answer, HomeError> {
        let failed = |source| HomeError::Io { doing: "running strongroom", source };
        let mut child = Command::new(&self.program)
            .args(arguments)
            .arg("--json")
            .env_clear()
            .envs(self.surroundings())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            match stdin.write_all(input) {
                // The command may end without reading its input.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed(error)),
                _ => {}
            }
        }
        let output = child.wait_with_output().map_err(failed)?;
        let last_object = |stream: &[u8]| {
            String::from_utf8_lossy(stream).lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok())
        };
        let answered = last_object(&output.stdout).or_else(|| last_object(&output.stderr));
        if let (Some(code), Some(json)) = (output.status.code(), answered) {
            return Ok(Answer { code, json });
        }
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed).into_owned();
        Err(HomeError::NoAnswer { command: arguments.join(" "), printed })
    }

    /// Runs a command that must end with `expected`, and gives its answer.
    pub fn run_to(&self, expected: i32, arguments: &[&str], input: &[u8]) -> Result<Value, HomeError> {
        let answer = self.run(arguments, input)?;
        if answer.code == expected {
            return Ok(answer.json);
        }
        let said = answer.json.to_string();
        Err(HomeError::Unexpected { command: arguments.join(" "), code: answer.code, expected, said })
    }

    /// The environment variables with which `strongroom` works in this home; it gets no others here.
    pub fn surroundings(&self) -> [(&'static str, PathBuf); 4] {
        [
            ("HOME", self.folder.clone()),
            ("XDG_CONFIG_HOME", self.folder.join("config")),
            ("XDG_DATA_HOME", self.folder.join("data")),
            ("STRONGROOM_PASSWORD_FILE", self.password_file()),
        ]
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }
}
