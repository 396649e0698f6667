//! Starts `anvil`, the development chain, as a child process that this program owns, and starts it again as a node of production is: at
//! the same address, with the chain that it left on disk. Transactions that were in no block are not on disk.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{OwnedProcess, ProcessError};

/// How long anvil may take to listen or to end. It needs a fraction of a second; a loaded machine needs more.
const PATIENCE: Duration = Duration::from_mins(1);

/// What it is called in messages.
const NAME: &str = "anvil";

/// Longer than any network lives.
const NEVER: Duration = Duration::from_hours(24 * 365);

/// When blocks are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mining {
    /// A block for each transaction, nearly at once, and none otherwise. A client that looks for its receipt too early and
    /// then waits for the next block waits for ever: such clients (ethers) want [`Mining::Mixed`].
    #[default]
    Instant,
    /// A block at each interval, with all the transactions that came meanwhile.
    Interval(Duration),
    /// A block for each transaction, and one at each interval besides.
    Mixed(Duration),
}

/// What the chain is like.
#[derive(Clone, Copy, Debug)]
pub struct AnvilOptions {
    /// Chain id. Default 65535.
    pub chain_id: u64,
    /// When blocks are made. Default: at each transaction.
    pub mining: Mining,
    /// TCP port on 127.0.0.1; 0, the default, for any free one.
    pub port: u16,
}

impl Default for AnvilOptions {
    fn default() -> Self {
        Self { chain_id: 65_535, mining: Mining::default(), port: 0 }
    }
}

/// A running anvil. Dropping it stops it.
#[derive(Debug)]
pub struct Anvil {
    process: OwnedProcess,
    rpc_url: String,
    program: PathBuf,
    /// With the port that it was given.
    options: AnvilOptions,
    /// Where it leaves the chain.
    folder: TempDir,
}

impl Anvil {
    /// Starts the `anvil` at `program` and waits until it listens. Blocks the thread.
    pub fn start(program: &Path, options: &AnvilOptions) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Start { name: NAME.to_owned(), source };
        let folder = tempfile::Builder::new().prefix("anvil").tempdir().map_err(failed)?;
        let (process, address) = run(program, options, folder.path())?;
        let options = AnvilOptions { port: address.port(), ..*options };
        Ok(Self { process, rpc_url: format!("http://{address}"), program: program.to_owned(), options, folder })
    }

    /// Has it end in good order: the chain as it is now is what [`Self::start_again`] begins with. Transactions that wait for a block are
    /// lost. Blocks the thread.
    pub fn end(&mut self) -> Result<(), ProcessError> {
        self.process.end(PATIENCE)
    }

    /// Kills it, as a power failure would: the blocks since it ended in good order are lost, all of them if it never did.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it at the same address with the chain that it left when it ended, after a kill if it still runs. Blocks have the hashes that
    /// they had, and events, receipts and the state at each block can be read as before. How blocks are made is as in the options, and
    /// the clock is that of the machine, whatever was asked of it before. Blocks the thread.
    pub fn start_again(&mut self) -> Result<(), ProcessError> {
        self.process.kill();
        (self.process, _) = run(&self.program, &self.options, self.folder.path())?;
        Ok(())
    }

    /// Address of its JSON-RPC, such as `http://127.0.0.1:42939`.
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// What it has printed, at most the last 4096 lines.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Stops it where it is: nobody gets an answer until [`Self::thaw`].
    pub fn freeze(&mut self) -> io::Result<()> {
        self.process.freeze()
    }

    /// Lets it go on.
    pub fn thaw(&mut self) -> io::Result<()> {
        self.process.thaw()
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

fn run(program: &Path, options: &AnvilOptions, folder: &Path) -> Result<(OwnedProcess, SocketAddr), ProcessError> {
    let mut command = Command::new(program);
    command.args(["--host", "127.0.0.1"]);
    command.args(["--port", &options.port.to_string()]);
    command.args(["--chain-id", &options.chain_id.to_string()]);
    match options.mining {
        Mining::Instant => {}
        Mining::Interval(every) => {
            command.args(["--block-time", &every.as_secs_f64().to_string()]);
        }
        Mining::Mixed(every) => {
            command.args(["--mixed-mining", "--block-time", &every.as_secs_f64().to_string()]);
        }
    }
    // Read at the start if it is there, written at the end; without the states of old blocks nobody could ask about them any more.
    command.arg("--state").arg(folder.join("chain.json")).arg("--preserve-historical-states");
    // It would also write each minute, whole, more and more each time.
    command.args(["--state-interval", &NEVER.as_secs().to_string()]);
    let process = OwnedProcess::start(NAME, command)?;
    // The socket listens before this line is printed, and only this line tells which port was free.
    let address = process.wait_for_line(PATIENCE, |line| line.strip_prefix("Listening on ")?.parse().ok())?;
    Ok((process, address))
}
