//! The stock `iexec` SDK of npm, unmodified: 9.0.1 as library and as command line, 8.24.0 as library. Our services must
//! serve its users, so tests drive them with it.
//!
//! What is installed is told by a lock file with the digest of each package. Everything here blocks the thread.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, hex};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::deploy::Deployment;
use crate::npm::{Cache, FetchError};

const PACKAGE: &str = include_str!("../sdk/package.json");
const LOCK: &str = include_str!("../sdk/package-lock.json");
const DRIVER: &str = include_str!("../sdk/drive.mjs");

/// Password of the keystores that are made for the command line. They hold keys of tests.
pub const KEYSTORE_PASSWORD: &str = "strongroom-devnet";

/// Where they are, below the folder of the command line.
const KEYSTORE_FOLDER: &str = "keystore";

/// Why the SDK did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// It could not be installed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Node.js or a file failed.
    #[error("{doing} failed; Node.js 20 or later is needed for the iexec SDK")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The process ended or printed something else than an answer.
    #[error("the iexec SDK gave no answer to `{call}`; it printed:\n{printed}")]
    NoAnswer {
        /// What was asked.
        call: String,
        /// What it printed instead.
        printed: String,
    },
    /// The SDK ran and threw an error, or its command line failed. This is its own message.
    #[error("{0}")]
    Refused(String),
}

/// Which SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdkVersion {
    /// 8.24.0.
    V8,
    /// 9.0.1.
    V9,
}

/// Addresses of what stands beside chain and SMS.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// The order book.
    pub market: Option<String>,
    /// The content store, for upload and download.
    pub storage: Option<String>,
    /// Tells where schedulers are.
    pub compass: Option<String>,
}

/// For whom, and where, the SDK works.
#[derive(Clone, Debug)]
pub struct SdkContext {
    /// Address of the node.
    pub rpc_url: String,
    /// The contracts.
    pub deployment: Deployment,
    /// Address of the SMS, if one is needed.
    pub sms_url: Option<String>,
    /// The other services, as far as they are needed.
    pub services: Services,
    /// The wallet.
    pub wallet: PrivateKeySigner,
}

/// The installed SDK.
#[derive(Clone, Debug)]
pub struct Sdk {
    folder: PathBuf,
}

impl Sdk {
    /// Installs the SDK with npm into the cache folder, once; later calls find it there.
    pub fn install(cache: &Cache) -> Result<Self, SdkError> {
        let name = format!("iexec-sdk-{}", &hex::encode(Sha256::digest(LOCK))[..16]);
        let folder = cache.folder().join(&name);
        let _lock = cache.lock(&name)?;
        if folder.exists() {
            return Ok(Self { folder });
        }
        let partial = cache.folder().join(format!("{name}.partial"));
        let failed = |source| SdkError::Io { doing: "preparing the folder of the iexec SDK", source };
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(failed)?;
        }
        fs::create_dir_all(&partial).map_err(failed)?;
        fs::write(partial.join("package.json"), PACKAGE).map_err(failed)?;
        fs::write(partial.join("package-lock.json"), LOCK).map_err(failed)?;
        cache.run_npm(&["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], &partial)?;
        fs::rename(&partial, &folder).map_err(failed)?;
        Ok(Self { folder })
    }

    /// Starts a process with the library of this version, which works for `context`.
    pub fn session(&self, version: SdkVersion, context: &SdkContext) -> Result<Session, SdkError> {
        let mut child = Command::new("node")
            .args(["--input-type=module", "--eval", DRIVER])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| SdkError::Io { doing: "starting node", source })?;
        let missing = || SdkError::Io { doing: "starting node", source: io::ErrorKind::BrokenPipe.into() };
        let requests = child.stdin.take().ok_or_else(missing)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        Ok(Session { child, requests: Some(requests), answers, version, context: context.clone() })
    }

    /// Prepares `folder` for the command line of 9.0.1: a `chain.json` whose default is this network, and a keystore
    /// with the wallet.
    pub fn command_line(&self, folder: &Path, context: &SdkContext) -> Result<CommandLine, SdkError> {
        let mut chain = json!({
            "id": context.deployment.chain_id.to_string(),
            "host": context.rpc_url,
            "hub": context.deployment.hub,
        });
        let services = &context.services;
        for (member, url) in [
            ("sms", &context.sms_url),
            ("iexecGateway", &services.market),
            ("ipfsGateway", &services.storage),
            ("compass", &services.compass),
        ] {
            if let Some(url) = url {
                chain[member] = json!(url);
            }
        }
        let chains = json!({ "default": "devnet", "chains": { "devnet": chain } });
        let command_line = CommandLine {
            program: self.folder.join("node_modules/iexec/dist/esm/cli/cmd/iexec.js"),
            folder: folder.to_owned(),
            wallet: context.wallet.address(),
        };
        command_line.write("chain.json", &chains)?;
        let key = hex::encode_prefixed(context.wallet.to_bytes());
        command_line.run(&[
            "wallet",
            "import",
            &key,
            "--keystoredir",
            KEYSTORE_FOLDER,
            "--password",
            KEYSTORE_PASSWORD,
        ])?;
        Ok(command_line)
    }
}

/// A running process with one version of the library. It remembers which secrets it has seen to exist: a new session
/// asks the SMS again.
#[derive(Debug)]
pub struct Session {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    version: SdkVersion,
    context: SdkContext,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Value(Value),
    Error(String),
}

impl Session {
    /// Works for another wallet from now on.
    pub fn use_wallet(&mut self, wallet: PrivateKeySigner) {
        self.context.wallet = wallet;
    }

    /// Calls `module.method` of an `IExec` instance, such as `app.pushAppSecret`, and gives what it resolves to.
    pub fn call(&mut self, call: &str, arguments: &[Value]) -> Result<Value, SdkError> {
        let request = json!({
            "package": match self.version {
                SdkVersion::V8 => "iexec-8",
                SdkVersion::V9 => "iexec",
            },
            "rpcUrl": self.context.rpc_url,
            "hub": self.context.deployment.hub,
            "smsUrl": self.context.sms_url,
            "marketUrl": self.context.services.market,
            "storageUrl": self.context.services.storage,
            "compassUrl": self.context.services.compass,
            "privateKey": hex::encode_prefixed(self.context.wallet.to_bytes()),
            "call": call,
            "arguments": arguments,
        });
        let mut line = String::new();
        let exchange = self.requests.as_mut().map(|requests| {
            writeln!(requests, "{request}")?;
            requests.flush()?;
            self.answers.read_line(&mut line)
        });
        match (exchange, serde_json::from_str(&line)) {
            (Some(Ok(_)), Ok(Answer::Value(value))) => Ok(value),
            (Some(Ok(_)), Ok(Answer::Error(message))) => Err(SdkError::Refused(message)),
            _ => Err(self.no_answer(call, line)),
        }
    }

    /// Deploys an app that belongs to the wallet. `mrenclave` is a JSON object for SGX, null otherwise.
    pub fn deploy_app(&mut self, name: &str, mrenclave: Value) -> Result<Address, SdkError> {
        let mut app = json!({
            "owner": self.context.wallet.address(),
            "name": name,
            "type": "DOCKER",
            "multiaddr": format!("registry.example/{name}:1"),
            "checksum": hex::encode_prefixed(Sha256::digest(name)),
        });
        if !mrenclave.is_null() {
            app["mrenclave"] = mrenclave;
        }
        self.deploy("app.deployApp", app)
    }

    /// Deploys a dataset that belongs to the wallet.
    pub fn deploy_dataset(&mut self, name: &str) -> Result<Address, SdkError> {
        let dataset = json!({
            "owner": self.context.wallet.address(),
            "name": name,
            "multiaddr": format!("https://data.example/{name}"),
            "checksum": hex::encode_prefixed(Sha256::digest(name)),
        });
        self.deploy("dataset.deployDataset", dataset)
    }

    /// Deploys a workerpool that belongs to the wallet.
    pub fn deploy_workerpool(&mut self, description: &str) -> Result<Address, SdkError> {
        let workerpool = json!({ "owner": self.context.wallet.address(), "description": description });
        self.deploy("workerpool.deployWorkerpool", workerpool)
    }

    /// Transfers an app of the wallet to another owner.
    pub fn transfer_app(&mut self, app: Address, to: Address) -> Result<(), SdkError> {
        self.call("app.transferApp", &[json!(app), json!(to)]).map(drop)
    }

    /// Transfers a dataset of the wallet to another owner.
    pub fn transfer_dataset(&mut self, dataset: Address, to: Address) -> Result<(), SdkError> {
        self.call("dataset.transferDataset", &[json!(dataset), json!(to)]).map(drop)
    }

    /// Pushes the secret of an app.
    pub fn push_app_secret(&mut self, app: Address, value: &str) -> Result<(), SdkError> {
        self.call("app.pushAppSecret", &[json!(app), json!(value)]).map(drop)
    }

    /// Tells whether an app has a secret.
    pub fn has_app_secret(&mut self, app: Address) -> Result<bool, SdkError> {
        self.ask("app.checkAppSecretExists", &[json!(app)])
    }

    /// Pushes a secret of the wallet as requester.
    pub fn push_requester_secret(&mut self, name: &str, value: &str) -> Result<(), SdkError> {
        self.call("secrets.pushRequesterSecret", &[json!(name), json!(value)]).map(drop)
    }

    /// Tells whether a requester has a secret of this name.
    pub fn has_requester_secret(&mut self, requester: Address, name: &str) -> Result<bool, SdkError> {
        self.ask("secrets.checkRequesterSecretExists", &[json!(requester), json!(name)])
    }

    /// Pushes the secret (the key) of a dataset.
    pub fn push_dataset_secret(&mut self, dataset: Address, value: &str) -> Result<(), SdkError> {
        self.call("dataset.pushDatasetSecret", &[json!(dataset), json!(value)]).map(drop)
    }

    /// Tells whether a dataset has a secret.
    pub fn has_dataset_secret(&mut self, dataset: Address) -> Result<bool, SdkError> {
        self.ask("dataset.checkDatasetSecretExists", &[json!(dataset)])
    }

    /// Pushes the key for which the results of the wallet are encrypted. Tells whether an older one was replaced, which
    /// takes `force_update`.
    pub fn push_result_key(&mut self, public_key: &str, force_update: bool) -> Result<bool, SdkError> {
        let call = "result.pushResultEncryptionKey";
        let value = self.call(call, &[json!(public_key), json!({ "forceUpdate": force_update })])?;
        value["isUpdated"].as_bool().ok_or_else(|| unexpected(call, &value))
    }

    /// Tells whether an account has a key for its results.
    pub fn has_result_key(&mut self, account: Address) -> Result<bool, SdkError> {
        self.ask("result.checkResultEncryptionKeyExists", &[json!(account)])
    }

    fn deploy(&mut self, call: &str, resource: Value) -> Result<Address, SdkError> {
        let value = self.call(call, &[resource])?;
        serde_json::from_value(value["address"].clone()).map_err(|_| unexpected(call, &value))
    }

    fn ask(&mut self, call: &str, arguments: &[Value]) -> Result<bool, SdkError> {
        let value = self.call(call, arguments)?;
        value.as_bool().ok_or_else(|| unexpected(call, &value))
    }

    /// Ends the process to learn what it complained about.
    fn no_answer(&mut self, call: &str, mut printed: String) -> SdkError {
        self.requests = None;
        let _ = self.child.kill();
        if let Some(mut errors) = self.child.stderr.take() {
            let _ = errors.read_to_string(&mut printed);
        }
        SdkError::NoAnswer { call: call.to_owned(), printed }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line `iexec` of 9.0.1 in a prepared folder.
#[derive(Clone, Debug)]
pub struct CommandLine {
    program: PathBuf,
    folder: PathBuf,
    wallet: Address,
}

impl CommandLine {
    /// Writes a file of the folder, such as `iexec.json`, which `app deploy` reads.
    pub fn write(&self, file: &str, content: &Value) -> Result<(), SdkError> {
        fs::write(self.folder.join(file), content.to_string())
            .map_err(|source| SdkError::Io { doing: "writing a file for the iexec command line", source })
    }

    /// The folder with the keystore file of its wallet.
    pub fn keystore(&self) -> PathBuf {
        self.folder.join(KEYSTORE_FOLDER)
    }

    /// Runs a command that needs no wallet, such as `app check-secret 0x...`, and gives its JSON output.
    pub fn run(&self, arguments: &[&str]) -> Result<Value, SdkError> {
        let output = Command::new("node")
            .arg(&self.program)
            .args(arguments)
            .arg("--raw")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| SdkError::Io { doing: "starting node", source })?;
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        let answer = printed.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        match answer {
            Some(answer) if output.status.success() && answer["ok"] == true => Ok(answer),
            Some(answer) if answer["ok"] == false => {
                Err(SdkError::Refused(answer["error"]["message"].as_str().unwrap_or_default().to_owned()))
            }
            _ => Err(SdkError::NoAnswer { call: arguments.join(" "), printed: printed.into_owned() }),
        }
    }

    /// Runs a command with the wallet of the keystore, such as `app push-secret 0x... --secret-value ...`.
    pub fn run_with_wallet(&self, arguments: &[&str]) -> Result<Value, SdkError> {
        let wallet = self.wallet.to_string();
        let options = ["--wallet-address", &wallet, "--keystoredir", KEYSTORE_FOLDER, "--password", KEYSTORE_PASSWORD];
        self.run(&[arguments, &options].concat())
    }
}

fn unexpected(call: &str, value: &Value) -> SdkError {
    SdkError::NoAnswer { call: call.to_owned(), printed: value.to_string() }
}
