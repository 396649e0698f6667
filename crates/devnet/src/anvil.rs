//! Starts `anvil`, the development chain, as a child process that this program owns.

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::process::{OwnedProcess, ProcessError};

/// How long anvil may take to listen. It needs a fraction of a second; a loaded machine needs more.
const PATIENCE: Duration = Duration::from_mins(1);

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
}

impl Anvil {
    /// Starts the `anvil` at `program` and waits until it listens. Blocks the thread.
    pub fn start(program: &Path, options: &AnvilOptions) -> Result<Self, ProcessError> {
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
        let process = OwnedProcess::start("anvil", command)?;
        // The socket listens before this line is printed, and only this line tells which port was free.
        let address = process.wait_for_line(PATIENCE, |line| line.strip_prefix("Listening on ").map(str::to_owned))?;
        Ok(Self { process, rpc_url: format!("http://{address}") })
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
